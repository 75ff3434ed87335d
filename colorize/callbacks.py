"""What TensorBoard shows beyond curves: pictures, the prior on the ab plane, weight histograms, photographs a
second.
"""

import time
from pathlib import Path
from typing import Any

import lightning
import torch
from jaxtyping import Float, UInt8
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from torch import Tensor

from colorize.bins import annealed_mean
from colorize.color import lab_to_rgb, rgb_to_lab
from colorize.module import ColorizationModule, upsample
from colorize.plane import draw_bins, draw_shares


class PictureGrid(Callback):
    """After each validation, fixed validation photographs as rows: grey, mode, T, mean, original.

    Args:
        folder: where the same grid is kept as step-NNNNNN.png.
        count: how many photographs.
    """

    def __init__(self, folder: Path, count: int = 8) -> None:
        self.folder, self.count = folder, count

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        self.photographs: Tensor = next(iter(data.squares("val", self.count)))

    def on_validation_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, ColorizationModule)
        grid = picture_grid(pl_module, self.photographs.to(pl_module.device))
        self.folder.mkdir(parents=True, exist_ok=True)
        pixels = (grid * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        Image.fromarray(pixels).save(self.folder / f"step-{trainer.global_step:06d}.png")
        title = f"pictures/grey, mode, T={pl_module.temperature:g}, mean, original"
        _writer(trainer).add_image(title, grid, trainer.global_step)


@torch.no_grad()
def picture_grid(module: ColorizationModule, photographs: UInt8[Tensor, "n 3 s s"]) -> Float[Tensor, "3 H W"]:
    """Rows of photographs, columns grey, mode, T, mean, original; RGB in [0, 1], white lines between."""
    rgb = photographs.float() / 255
    lab = rgb_to_lab(rgb)
    lightness = lab[:, :1]
    logits = module.network.predict(lightness).float()
    columns = [lightness.expand(-1, 2, -1, -1) * 0]
    columns += [
        upsample(annealed_mean(logits, module.bins.centers, temperature), lab)
        for temperature in (0.0, module.temperature, 1.0)
    ]
    pictures = [lab_to_rgb(torch.cat((lightness, ab), dim=1)) for ab in columns] + [rgb]
    framed = torch.nn.functional.pad(torch.stack(pictures, dim=1), [1, 1, 1, 1], value=1.0)  # n columns 3 s s
    n, m, _, h, w = framed.shape
    return framed.permute(2, 0, 3, 1, 4).reshape(3, n * h, m * w)


class PriorOnPlane(Callback):
    """At the start, the prior and the rebalancing weights over the ab plane, in the bins' colours."""

    def __init__(self, step: float) -> None:
        self.step = step

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, ColorizationModule)
        centers, prior, weights = pl_module.bins.centers, pl_module.prior, pl_module.class_weights
        writer = _writer(trainer)
        writer.add_image("plane/prior, area by logarithm", draw_shares(centers, prior, self.step), 0)
        writer.add_image(
            "plane/rebalancing weights, area by value", draw_bins(centers, weights, self.step), 0
        )


class WeightHistograms(Callback):
    """After each validation, a histogram of every parameter of the network."""

    def on_validation_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, ColorizationModule)
        for name, parameter in pl_module.network.named_parameters():
            _writer(trainer).add_histogram(f"weights/{name}", parameter.detach().float(), trainer.global_step)


class Throughput(Callback):
    """Photographs (windows) trained on per second, over the steps between two log entries, validation left
    out.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._windows, self._started = 0, time.perf_counter()

    def on_train_epoch_start(self, *args: Any) -> None:
        self._reset()

    def on_validation_end(self, *args: Any) -> None:
        self._reset()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self._windows += len(batch) * trainer.world_size
        if trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            elapsed = time.perf_counter() - self._started
            pl_module.log("train/photographs_per_second", self._windows / max(elapsed, 1e-9))
            self._reset()


def _writer(trainer: lightning.Trainer) -> Any:
    """TensorBoard's SummaryWriter of this run."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            return logger.experiment
    raise RuntimeError("these callbacks need a TensorBoardLogger")
