"""How a run shows itself: a progress bar on a terminal, a line after each validation everywhere."""

import time
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class StepProgress(Callback):
    """A bar over all steps of the run; epochs of small photograph sets are too short for a bar each."""

    def __init__(self) -> None:
        self.console = Console()
        self.progress: Progress | None = None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.started = time.perf_counter()
        if not (trainer.is_global_zero and self.console.is_terminal):
            return
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self.progress = Progress(*columns, console=self.console, transient=True)
        steps = trainer.estimated_stepping_batches
        self.task = self.progress.add_task("training", total=None if steps == float("inf") else int(steps))
        self.progress.start()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if self.progress is not None:
            self.progress.update(self.task, completed=trainer.global_step)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        at = {
            name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")
        }
        minutes = (time.perf_counter() - self.started) / 60
        metrics = (
            f"AuC {at['val/auc']:.1f}  rebalanced {at['val/auc_rebalanced']:.1f}  PSNR {at['val/psnr']:.1f}"
        )
        line = f"step {trainer.global_step}  {minutes:.1f} min  loss {at['val/loss']:.3f}  {metrics} dB"
        self.console.print(line, highlight=False)

    def on_train_end(self, *args: Any) -> None:
        self._stop()

    def on_exception(self, *args: Any) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.progress is not None:
            self.progress.stop()
