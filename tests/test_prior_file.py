"""python -m scripts.prior and loss.prior: the prior of a training run, refused where it is of other bins."""

import importlib
import sys
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from colorize import Colorizer
from colorize.configuration import compose_config
from colorize.prior_file import CountedPrior, read_prior
from colorize.training import _check
from scripts import arguments
from tests.test_training import ROOT, run


def script(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["prior", *words])
    monkeypatch.chdir(ROOT)
    arguments.run(importlib.import_module("scripts.prior").main)


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """The prior of the sample's training photographs, with the bins that they use."""
    words = ["image_size=32", "bins.step=20", "bins.source=data", "top=3", f"out={tmp_path}/p.safetensors"]
    script(monkeypatch, "data=data/sample/train", *words)
    said = capsys.readouterr().out
    assert "in 56 photographs" in said
    assert said.count("│") == 3 * 6
    bins = "loss.bins.source=data loss.bins.step=20"
    assert f"python train.py loss.prior={tmp_path}/p.safetensors {bins}\n" in said
    return tmp_path / "p.safetensors"


def test_the_script_counts_what_a_training_run_counts(counted: Path, tmp_path: Path) -> None:
    with Image.open(counted.with_suffix(".png")) as picture:
        assert picture.size == (480, 480)
    prior = read_prior(counted)
    assert prior.facts == {"data": "data/sample/train", "image_size": 32, "photographs": 56}
    words = ["loss.bins.source=data", "trainer.max_steps=1", "data.augment.flip=0"]
    run(tmp_path / "own", *words)
    run(tmp_path / "given", *words, f"loss.prior={counted}")
    assert not list((tmp_path / "given/cache").glob("prior-*")), "nothing was counted"
    own, given = (Colorizer.load(tmp_path / name / "run/model.safetensors") for name in ("own", "given"))
    for colorizer in (own, given):
        assert colorizer.prior is not None
        assert torch.equal(colorizer.prior, prior.prior)
        assert torch.equal(colorizer.bins.centers, prior.centers)


def test_a_prior_of_other_bins_is_refused_in_one_line(counted: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(counted.read_bytes()[:-5])
    data, step = "loss.bins.source=data", "loss.bins.step=20"
    for words, message in (
        ([step], r"counted with loss\.bins\.source=data; this run has loss\.bins\.source=srgb"),
        ([data], r"counted with loss\.bins\.step=20(\.0)?; this run has loss\.bins\.step=10"),
        ([data, step, "loss.smoothing=none"], r"this run has loss\.smoothing=none; give"),
        ([f"loss.prior={tmp_path}/nowhere"], "no file .*nowhere; python -m scripts.prior writes one"),
        ([f"loss.prior={broken}"], "is damaged or no file of a prior"),
        (["loss.prior=5"], "loss.prior takes the path of a file, got 5"),
    ):
        settings = compose_config([f"loss.prior={counted}", "trainer.accelerator=cpu", *words])
        with pytest.raises(ValueError, match=message) as caught:
            _check(OmegaConf.to_container(settings, resolve=True))  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)


def test_a_damaged_cached_prior_is_counted_anew(tmp_path: Path) -> None:
    words = ["trainer.max_steps=1", "loss.bins.step=40"]
    run(tmp_path, *words)
    (cached,) = (tmp_path / "cache").glob("prior-*")
    whole = cached.read_bytes()
    cached.write_bytes(whole[:100])
    run(tmp_path, *words)
    assert cached.read_bytes() == whole


def test_wrong_arguments_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for words, message in (
        ("data=data/sample/val out=/nope/x.safetensors", "out: there is no folder /nope"),
        ("data=data/sample/val out=x.pt", "out must end in .safetensors"),
        ("data=data/sample/val smoothing=box", "loss.smoothing must be one of gaussian, none"),
        ("data=data/sample/val image_size=0", "data.image_size must be from 1 to 8192"),
        ("data=data/sample/val bins.source=zhang313 bins.step=5", "have step 10"),
        ("data=data/sample/val bins.colour=1", "takes data=, "),
        ("image_size=32", "needs data"),
    ):
        with pytest.raises(SystemExit) as stopped:
            script(monkeypatch, f"out={tmp_path}/x.safetensors", *words.split())
        assert stopped.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shares", [[0.5, 0.2], [1.5, -0.5], [float("nan"), 1.0]])
def test_a_file_whose_shares_are_none_is_refused(tmp_path: Path, shares: list[float]) -> None:
    file = tmp_path / "wrong.safetensors"
    CountedPrior(torch.tensor([[0.0, 0.0], [10.0, 0.0]]), torch.tensor(shares), {}, {}).write(file)
    with pytest.raises(ValueError, match="holds no shares that add up to 1"):
        read_prior(file)
