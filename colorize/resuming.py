"""Going on from a checkpoint: whether it fits this run, and the best weights of the run before."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint

from colorize.images import replacing


class LastCheckpoint(Checkpoint):
    """Keeps the state after the latest validation in last.ckpt, whether it was the best or not.

    Args:
        folder: of the checkpoints.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "last.ckpt"

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.state.fn == "fit":
            trainer.save_checkpoint(self.path)


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
    if differing:
        theirs, ours = (", ".join(f"{key}={make.get(key)}" for key in differing) for make in (there, here))
        raise ValueError(
            f"trainer.resume: the checkpoint is of a run with {theirs}; this one has {ours}; give the same "
            "settings, or leave trainer.resume out"
        )
