"""Lightning's Trainer of the `trainer` settings, with its callbacks."""

import logging
import os
import warnings
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, Timer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from colorize.callbacks import PictureGrid, PriorOnPlane, Throughput, WeightHistograms
from colorize.progress import StepProgress
from colorize.ranks import under_torchrun
from colorize.resuming import BestCheckpoint, LastCheckpoint


def build_trainer(settings: Mapping[str, Any], run_dir: Path) -> lightning.Trainer:
    """The Trainer of a configuration.

    Raises:
        MisconfigurationException: if this machine has no such accelerator, or not as many devices.
    """
    options = settings["trainer"]
    precision: Any = options["precision"]
    if precision == "auto":
        precision = fastest_precision(options["accelerator"])
    devices, num_nodes = options["devices"], options["num_nodes"]
    if under_torchrun():  # which has been told already
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        num_nodes = int(os.environ["WORLD_SIZE"]) // devices
    several = devices != 1 or num_nodes > 1
    trainer = lightning.Trainer(
        accelerator=options["accelerator"],
        devices=devices,
        num_nodes=num_nodes,
        # The others wait while the first process reads photographs and counts colours.
        strategy=DDPStrategy(timeout=timedelta(hours=6)) if several else "auto",
        sync_batchnorm=options["sync_batchnorm"],
        # LastCheckpoint hears signals, and trainer.resume=auto takes the job up again, on SLURM as elsewhere.
        plugins=[SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else None,
        precision=precision,
        max_steps=-1 if options["max_steps"] is None else options["max_steps"],
        max_epochs=-1 if options["max_epochs"] is None else options["max_epochs"],
        # Never fewer than one validation: without one there is no best checkpoint.
        val_check_interval=min(
            options["val_every_steps"], options["max_steps"] or options["val_every_steps"]
        ),
        check_val_every_n_epoch=None,
        log_every_n_steps=options["log_every_steps"],
        gradient_clip_val=options["gradient_clip_val"],
        deterministic=options["deterministic"],
        callbacks=_callbacks(settings, run_dir),
        logger=TensorBoardLogger(run_dir, name="", version="tensorboard", default_hp_metric=False),
        default_root_dir=run_dir,
        enable_progress_bar=False,  # StepProgress instead
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # EpochOrder knows its rank
    )
    # With several processes Lightning asks at each step whether one got SIGTERM, and waits for the device's
    # answer.
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
    return trainer


def fastest_precision(accelerator: str) -> str:
    """bf16-mixed on GPUs and CPUs with bf16 matrix units (a third of the time there), else 32-true."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    if accelerator in ("auto", "cpu") and hasattr(torch.cpu, "get_capabilities"):
        return "bf16-mixed" if torch.cpu.get_capabilities().get("amx_bf16") else "32-true"
    return "32-true"


def quiet_lightning() -> None:
    """Keep Lightning's notes on hardware and its advice on data loaders off the terminal."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")


def _callbacks(settings: Mapping[str, Any], run_dir: Path) -> list[Callback]:
    options = settings["trainer"]
    best = BestCheckpoint(run_dir / "checkpoints", options["monitor"], options["resume"])
    callbacks: list[Callback] = [
        best,
        Throughput(),
        PriorOnPlane(settings["loss"]["bins"]["step"]),
        PictureGrid(run_dir / "samples"),
        WeightHistograms(),
        StepProgress(),
        # Behind the best, whose score it holds.
        LastCheckpoint(run_dir / "checkpoints", options["save_every_minutes"]),
    ]
    if patience := options["early_stopping"]:
        callbacks.append(EarlyStopping(options["monitor"], mode=best.mode, patience=patience, verbose=False))
    if options["max_minutes"] is not None:
        callbacks.append(TimeLimit(timedelta(minutes=options["max_minutes"])))
    if options["ema_decay"]:
        callbacks.append(EMAWeightAveraging(decay=options["ema_decay"]))
    return callbacks


class TimeLimit(Timer):
    """Ends a run after some time. Several processes ask the first one's clock at log entries alone, where
    they wait for their devices anyway.
    """

    @property
    def state_key(self) -> str:
        return Timer.__qualname__  # as Lightning's own is called in checkpoints

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any, **kwargs: Any) -> None:
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if trainer.world_size == 1 or trainer.global_step % every == 0:
            super().on_train_batch_end(trainer, *args, **kwargs)
