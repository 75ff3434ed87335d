"""Going on from a checkpoint: whether it fits this run, and the best weights of the run before."""

import shutil
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from types import FrameType
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint

from colorize.images import replacing


class Stopped(Exception):
    """A run that a signal ended, its state saved.

    Attributes:
        status: exit status of a process that this signal ends.
    """

    def __init__(self, number: int, step: int, path: Path) -> None:
        name = signal.Signals(number).name
        super().__init__(f"{name} at step {step}; go on with trainer.resume={path}")
        self.status = 128 + number


class LastCheckpoint(Checkpoint):
    """Keeps the latest state in last.ckpt: after each validation, every so many minutes, and when SIGTERM or
    SIGINT (Ctrl-C, a cluster that wants its machine back) ends the run, which then finishes its step.

    Several processes agree on the time and on a signal at log entries, where they wait for their devices
    anyway.

    Args:
        folder: of the checkpoints.
        every_minutes: time between two savings; None for none but those after validations.
    """

    def __init__(self, folder: Path, every_minutes: float | None = None) -> None:
        self.path, self.every_minutes = folder / "last.ckpt", every_minutes
        self._signal, self._saved = 0, time.monotonic()
        self._handlers: dict[int, Any] = {}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._saved = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._handlers[number] = signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signal:  # the second time, at once
            raise KeyboardInterrupt
        self._signal = number

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        number, late = self._signal, False
        if at_log_entry := trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            late = (
                self.every_minutes is not None and (time.monotonic() - self._saved) / 60 >= self.every_minutes
            )
        if trainer.world_size > 1:
            if not at_log_entry:
                return
            wishes = torch.tensor([number, int(late)], device=pl_module.device)
            number, late = trainer.strategy.reduce(wishes, reduce_op="max").tolist()
        if number or late:
            self._save(trainer)
        if number:
            raise Stopped(int(number), trainer.global_step, self.path)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.state.fn == "fit":
            self._save(trainer)

    def _save(self, trainer: lightning.Trainer) -> None:
        module: Any = trainer.lightning_module
        module.check_finite()
        trainer.save_checkpoint(self.path)
        module.clock.mark("")  # no part of a step
        self._saved = time.monotonic()

    def on_train_end(self, *args: Any) -> None:
        self._restore_handlers()

    def on_exception(self, *args: Any) -> None:
        self._restore_handlers()

    def _restore_handlers(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()


class BestCheckpoint(ModelCheckpoint):
    """Keeps the best weights by a val/ curve in best.ckpt.

    A resumed run starts with the best.ckpt of the run before, which only something better replaces.

    Args:
        folder: of the checkpoints.
        monitor: the curve.
        resume: checkpoint that the run goes on from, if any.

    Attributes:
        judged_by: what scores depend on, validation photographs and settings; those of different ones are not
            compared.
    """

    judged_by = ""

    def __init__(self, folder: Path, monitor: str, resume: str | None = None) -> None:
        super().__init__(
            folder, "best", monitor=monitor, mode="min" if "loss" in monitor else "max",
            auto_insert_metric_name=False, enable_version_counter=False,
        )  # fmt: skip
        self.resume = resume

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "judged_by": self.judged_by}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best of the run before. Lightning calls it if that run had the same monitor."""
        if (
            self.resume is None or not state_dict["best_model_path"]
        ):  # or it ended before its first validation
            return
        if state_dict["judged_by"] != self.judged_by:
            print(
                "warning: the run before was validated on other photographs, at another size or with another "
                "loss; best.ckpt will be the best of this run alone",
                file=sys.stderr,
            )
            return
        # The folder may have been moved since its path was recorded.
        candidates = (Path(self.resume).with_name("best.ckpt"), Path(state_dict["best_model_path"]))
        earlier = next((path for path in candidates if path.is_file()), None)
        if earlier is None:
            print(
                f"warning: there is no {candidates[0]}, the best weights of the run before; best.ckpt will "
                "be the best of this run alone",
                file=sys.stderr,
            )
            return
        score = read_checkpoint(earlier)["callbacks"][self.state_key]["best_model_score"]
        best = Path(str(self.dirpath)) / "best.ckpt"
        _copy(earlier, best)
        self.best_model_path = self.kth_best_model_path = str(best)
        self.best_model_score = self.kth_value = score
        self.best_k_models = {str(best): score}


@rank_zero_only
def _copy(source: Path, target: Path) -> None:
    if source.resolve() != target.resolve():
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A training run's checkpoint, its tensors on the CPU.

    Raises:
        ValueError: if there is none at `path`.
    """
    advice = "a run writes its own to checkpoints/last.ckpt"
    if not Path(path).is_file():
        raise ValueError(f"trainer.resume: there is no file {path}; {advice}")
    try:
        checkpoint = torch.load(path, weights_only=True, map_location="cpu")
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"trainer.resume: {path} is damaged or no checkpoint; {advice}") from error
    if not isinstance(checkpoint, dict) or "make" not in checkpoint:
        raise ValueError(f"trainer.resume: {path} is no checkpoint of a run of this version; {advice}")
    return checkpoint


def check_same_make(there: Mapping[str, object], here: Mapping[str, object]) -> None:
    """Check that what a checkpoint was made with, setting -> value, is what this run is made with.

    Raises:
        ValueError: naming what differs.
    """
    differing = [key for key in {**there, **here} if there.get(key) != here.get(key)]
    if "network.name" in differing:  # another network has other settings, too
        differing = [key for key in differing if key == "network.name" or not key.startswith("network.")]
    if differing:
        theirs, ours = (", ".join(f"{key}={make.get(key)}" for key in differing) for make in (there, here))
        raise ValueError(
            f"trainer.resume: the checkpoint is of a run with {theirs}; this one has {ours}; give the same "
            "settings, or leave trainer.resume out"
        )


def use_settings(checkpoint: dict[str, Any], fresh: torch.optim.Optimizer) -> None:
    """Put this run's optimizer settings (learning rate, decay, momentum ...) in the place of those that a
    checkpoint was saved with; what the optimizer has gathered stays.

    Args:
        checkpoint: of Lightning, with one optimizer and one schedule; changed in place.
        fresh: an optimizer of the same parameters as this run has set it up.
    """
    (state,), (schedule,) = checkpoint["optimizer_states"], checkpoint["lr_schedulers"]
    for old, new in zip(state["param_groups"], fresh.param_groups, strict=True):
        if old["initial_lr"] != new["lr"]:  # else it stays to the last bit
            old["lr"] *= new["lr"] / old["initial_lr"]
        old |= {name: value for name, value in new.items() if name not in ("params", "lr")}
        old["initial_lr"] = new["lr"]
    schedule["base_lrs"] = [group["lr"] for group in fresh.param_groups]
    schedule["_last_lr"] = [group["lr"] for group in state["param_groups"]]
