"""Going on from a checkpoint, and what is left of a run that was ended."""

import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from colorize import Colorizer
from colorize.data import PhotoData
from colorize.module import ColorizationModule
from colorize.resuming import check_same_make
from tests.runs import last_state, run, same_weights

LAST_STEP = 9  # in the middle of the second epoch of seven steps


def test_time_ends_the_cosine_and_goes_on_when_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute has six steps by a clock that each step moves on by ten seconds."""
    now = 0.0
    step = ColorizationModule.training_step

    def slow_step(self: ColorizationModule, *args: Any) -> torch.Tensor:
        nonlocal now
        now += 10
        return step(self, *args)

    monkeypatch.setattr(ColorizationModule, "training_step", slow_step)
    monkeypatch.setattr("lightning.pytorch.callbacks.timer.time.monotonic", lambda: now)
    minute = ["trainer.max_steps=null", "trainer.max_minutes=1", "optimizer.warmup_steps=0", "optimizer.lr=1"]

    def last_rate(name: str, *overrides: str) -> float:
        run(tmp_path / name, *minute, *overrides)
        state = torch.load(tmp_path / name / "run/checkpoints/last.ckpt", weights_only=True)
        return float(state["lr_schedulers"][0]["_last_lr"][0])

    def cosine(share: float) -> float:
        return 0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2

    assert last_rate("whole") == pytest.approx(0.01)
    assert last_rate("half", "trainer.max_steps=3") == pytest.approx(0.01), "three steps are further along"
    checkpoint = tmp_path / "half/run/checkpoints/last.ckpt"
    resumed = last_rate("resumed", f"trainer.resume={checkpoint}", "trainer.max_minutes=2")
    assert resumed == pytest.approx(0.01)
    state = torch.load(tmp_path / "resumed/run/checkpoints/last.ckpt", weights_only=True)
    assert state["global_step"] == 12, "of its two minutes the run before has used half of one"
    rates = (
        EventAccumulator(str(tmp_path / "resumed/run/tensorboard")).Reload().Scalars("train/learning_rate")
    )
    # The first step takes the rate that the checkpoint ended with.
    assert [e.value for e in rates][1:] == pytest.approx([cosine(k / 12) for k in range(4, 12)], abs=1e-5)


def test_resuming_goes_on_from_the_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "first", "trainer.max_steps=3")
    resume = f"trainer.resume={tmp_path}/first/run/checkpoints/last.ckpt"
    run(tmp_path / "second", resume, "trainer.max_steps=5", "trainer.val_every_steps=1")
    assert "warning" not in capsys.readouterr().err
    state = torch.load(tmp_path / "second/run/checkpoints/last.ckpt", weights_only=True)
    assert state["global_step"] == 5
    run(tmp_path / "third", resume, "trainer.max_steps=3")
    assert "is at step 3, so that nothing is left of trainer.max_steps=3" in capsys.readouterr().err


def test_the_last_checkpoint_is_the_last_where_it_is_not_the_best(tmp_path: Path) -> None:
    worsening = [
        "trainer.val_every_steps=1", "trainer.monitor=val/psnr", "optimizer.lr=3.0",
        "optimizer.schedule=constant",
    ]  # fmt: skip
    run(tmp_path / "first", "trainer.max_steps=4", *worsening)
    folder = tmp_path / "first/run/checkpoints"
    best, last = (torch.load(folder / f"{name}.ckpt", weights_only=True) for name in ("best", "last"))
    assert best["global_step"] < last["global_step"] == 4
    resumed = [f"trainer.resume={folder}/last.ckpt", "trainer.max_steps=5", *worsening]
    run(tmp_path / "second", *resumed)
    folder = tmp_path / "second/run/checkpoints"
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 5


def test_scores_of_other_photographs_are_not_compared(
    tmp_path: Path, sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "first", "trainer.max_steps=2", "trainer.val_every_steps=1")
    resume = f"trainer.resume={tmp_path}/first/run/checkpoints/last.ckpt"
    run(tmp_path / "second", resume, "trainer.max_steps=4", f"data.val_root={sample / 'test'}")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the run before was validated on other photographs")
    best = torch.load(tmp_path / "second/run/checkpoints/best.ckpt", weights_only=True)
    assert best["global_step"] > 2


@pytest.mark.parametrize("moved", [False, True])
def test_a_resumed_run_ends_with_the_best_of_both(tmp_path: Path, moved: bool) -> None:
    run(tmp_path / "first", "trainer.max_steps=4", "trainer.val_every_steps=2")
    folder = tmp_path / "first/run/checkpoints"
    if moved:
        folder = folder.rename(tmp_path / "elsewhere")
    best = torch.load(folder / "best.ckpt", weights_only=True)
    (state,) = (state for key, state in best["callbacks"].items() if key.startswith("BestCheckpoint"))

    def resumed(name: str) -> dict[str, Any]:
        words = [f"trainer.resume={folder}/last.ckpt", "trainer.max_steps=6", "trainer.val_every_steps=1"]
        run(tmp_path / name, *words)
        return torch.load(tmp_path / name / "run/checkpoints/best.ckpt", weights_only=True)

    state["best_model_score"].fill_(1e9)  # as if it had been as bad as that
    torch.save(best, folder / "best.ckpt")
    assert resumed("better")["global_step"] > 4
    state["best_model_score"].fill_(0)
    torch.save(best, folder / "best.ckpt")
    kept = resumed("worse")
    assert kept["global_step"] == best["global_step"]
    weights = Colorizer.load(tmp_path / "worse/run/model.safetensors", device="cpu").network.state_dict()
    assert all(torch.equal(v, best["state_dict"][f"network.{k}"]) for k, v in weights.items())
    assert torch.load(folder / "best.ckpt", weights_only=True)["global_step"] == best["global_step"]


def test_a_resumed_run_says_where_the_best_before_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "first", "trainer.max_steps=3")
    folder = tmp_path / "first/run/checkpoints"
    (folder / "best.ckpt").unlink()
    run(tmp_path / "second", f"trainer.resume={folder}/last.ckpt", "trainer.max_steps=6")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: there is no {folder}/best.ckpt, the best weights of the run before")
    assert (tmp_path / "second/run/checkpoints/best.ckpt").is_file()


def test_what_cannot_be_resumed_is_one_clear_line(tmp_path: Path) -> None:
    run(tmp_path / "first", "trainer.max_steps=3")
    checkpoint = tmp_path / "first/run/checkpoints/last.ckpt"
    nothing, broken, other = tmp_path / "none.ckpt", tmp_path / "broken.ckpt", tmp_path / "other.ckpt"
    broken.write_bytes(checkpoint.read_bytes()[:-100])
    torch.save({"state_dict": {}}, other)
    for path, words, message in (
        (
            nothing,
            "data.root=nowhere",
            f"there is no file {nothing}; a run writes its own to checkpoints/last.ckpt",
        ),
        (broken, "data.root=nowhere", f"{broken} is damaged or no checkpoint; a run"),
        (other, "data.root=nowhere", f"{other} is no checkpoint of a run of this version; a run"),
        (
            checkpoint,
            "loss.bins.step=40",
            r"of a run with bins=77 at step 20 \(.*\); this one has bins=2. at step 40",
        ),
        (
            checkpoint,
            "network.dropout=0.1",
            "a run with network.dropout=0.0; this one has network.dropout=0.1",
        ),
        (
            checkpoint,
            "optimizer=sgd",
            "a run with optimizer.name=adamw; this one has optimizer.name=sgd; give the",
        ),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            run(tmp_path / "second", f"trainer.resume={path}", words)
        assert "\n" not in str(caught.value)


def test_another_network_is_named_without_its_settings() -> None:
    there = {"network.name": "conv8", "network.stride": 1, "bins": "77 at step 20"}
    here = {"network.name": "unet", "network.down": [2, 2], "bins": "77 at step 20"}
    with pytest.raises(ValueError, match=r"with network\.name=conv8; this one has network\.name=unet; give"):
        check_same_make(there, here)


@pytest.mark.skipif("state_dict" not in vars(PhotoData), reason="epochs are not taken up in their middle yet")
@pytest.mark.parametrize("how", ["SIGTERM", "crash"])
def test_ended_and_resumed_equals_never_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    """With randomness in data, augmentation and network."""
    words = [
        "data.augment.grain=3", "network.activation=rrelu", "network.dropout=0.1", "trainer.max_steps=12",
        "trainer.val_every_steps=5", "trainer.log_every_steps=1", "trainer.save_every_minutes=0",
    ]  # fmt: skip
    run(tmp_path / "whole", *words)
    step = ColorizationModule.training_step

    def last_step(self: ColorizationModule, *args: Any) -> torch.Tensor:
        if self.trainer.global_step == LAST_STEP:
            if how == "crash":  # like SIGKILL it leaves what was saved before
                raise MemoryError
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(ColorizationModule, "training_step", last_step)
        with pytest.raises((SystemExit, MemoryError)) as ended:
            run(tmp_path / "ended", *words)
    if how == "SIGTERM":
        path = tmp_path / "ended/run/checkpoints/last.ckpt"
        assert ended.value.args == (128 + signal.SIGTERM,)
        said = f"stopped by SIGTERM at step {LAST_STEP + 1}; go on with trainer.resume={path}\n"
        assert capsys.readouterr().err == said
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    run(tmp_path / "ended", "trainer.resume=auto", *words)
    assert same_weights(last_state(tmp_path / "ended"), last_state(tmp_path / "whole"))


def test_a_changed_learning_rate_holds_when_resumed(tmp_path: Path) -> None:
    constant = ["optimizer.schedule=constant", "optimizer.warmup_steps=0", "trainer.val_every_steps=1"]
    run(tmp_path / "first", "trainer.max_steps=1", *constant)
    resume = f"trainer.resume={tmp_path}/first/run/checkpoints/last.ckpt"
    changed = ["optimizer.lr=1e-4", "optimizer.weight_decay=0.5", "trainer.max_steps=2"]
    run(tmp_path / "second", resume, *changed, *constant)
    state = last_state(tmp_path / "second")
    kernels, others = state["optimizer_states"][0]["param_groups"]
    assert [kernels["lr"], kernels["weight_decay"], others["lr"], others["weight_decay"]] == [
        1e-4,
        0.5,
        1e-4,
        0.0,
    ]
    rates = EventAccumulator(str(tmp_path / "second/run/tensorboard")).Reload().Scalars("train/learning_rate")
    assert [event.value for event in rates] == pytest.approx([1e-4])
