"""Wrong settings of a training are named in one line, before a photograph is read."""

import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from colorize.configuration import check_overrides, compose_config
from colorize.data import kept
from colorize.training import _check
from tests.test_training import run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("optimizer.lr=inf", "optimizer.lr must be finite, got inf"),
        ("data.augment.rotate=nan", "data.augment.rotate must be finite, got nan"),
        ("loss.bins.sigma=inf", "loss.bins.sigma must be finite"),
        ("trainer.max_epochs=1.5", "trainer.max_epochs must be a whole number, got 1.5"),
        ("data.workers=1.5", "data.workers must be a whole number, got 1.5"),
        ("loss.bins.step=0.5", "loss.bins.step must be from 1 to 110, got 0.5"),
        ("loss.bins.step=111", "loss.bins.step must be from 1 to 110, got 111"),
        ("data.image_size=8193", "data.image_size must be from 1 to 8192, got 8193"),
        ("loss.smoothing=some", "loss.smoothing must be one of gaussian, none"),
        ("loss.bins.source=lab", "loss.bins.source must be one of srgb, data, zhang313"),
        ("~data.root", "data.root cannot be taken out; give it a value"),
    ],
)
def test_refused_by_the_command_line(words: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_overrides([words])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("network.name=vgg", "unknown network 'vgg'"),
        ("network.activation=swish", "unknown activation 'swish'"),
        ("network.dilations=[a,1,1,1,1,1,1,1]", "dilations must be 8 integers"),
        ("network.dilations=[1.5,1,1,1,1,1,1,1]", "dilations must be 8 integers"),
        ("loss.bins.neighbours=1000", "neighbours must be in 1.."),
        ("optimizer.betas=[0.9,2]", "optimizer.betas must be two numbers"),
        ("optimizer.betas=[0.9,inf]", "optimizer.betas must be finite"),
        ("regularization.kernel.l1=-1", "regularization.kernel.l1 must be 0 or more, got -1"),
        ("regularization.kernel={l1: a}", "regularization.kernel.l1 must be 0 or more, got 'a'"),
        ("data.window=10", "data.window must be at least 17"),
        ("loss.temperature=-1", "loss.temperature must be 0 or more"),
        ("trainer.resume=5", "trainer.resume takes the path of a checkpoint, got 5"),
        (f"trainer.devices={(os.cpu_count() or 1) + 1}", "is more than the .* CPUs"),
        ("trainer.devices=-1", "trainer.devices=-1 is for GPUs"),
        ("+data.augment.sepia=1", "augment has no setting sepia"),
    ],
)
def test_refused_before_photographs_are_read(words: str, message: str) -> None:
    settings = OmegaConf.to_container(
        compose_config(["loss.bins.step=20", "trainer.accelerator=cpu", words]), resolve=True
    )
    with pytest.raises(ValueError, match=message):
        _check(settings)  # type: ignore[arg-type]


def test_a_refused_training_reads_nothing_and_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "decode_all", lambda *_: pytest.fail("photographs were decoded"))
    for wrong in ("network.activation=swish", "data.root=nowhere"):
        with pytest.raises(ValueError, match=r"swish|nowhere"):
            run(tmp_path, wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_diverges_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"training diverged: .* at step \d+; .* optimizer\.lr than 1e\+30"):
        run(tmp_path, "optimizer.lr=1e30", "network.batch_norm=false", "trainer.gradient_clip_val=null")


def test_weights_are_checked_before_validation_draws_them(tmp_path: Path) -> None:
    words = ["optimizer.lr=1e30", "network.batch_norm=false", "trainer.log_every_steps=100"]
    with pytest.raises(ValueError, match="training diverged"):
        run(tmp_path, *words)
