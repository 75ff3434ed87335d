"""What TensorBoard shows beyond curves: pictures, the prior on the ab plane, weight histograms, speed."""

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
from colorize.clock import NETWORK, matrix_rate, network_flops, precision_dtype
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
    """How fast training is and where its time goes, over the steps between two log entries, validation left
    out: photographs (windows) a second on all devices together; share of the time that is not the network's
        forward and
    backward; share of a device's rate in matrix products that the network's arithmetic reaches.
    """

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, ColorizationModule)
        self.flops = network_flops(pl_module.network, len(pl_module.bins), pl_module.window)
        self.dtype = precision_dtype(str(trainer.precision))
        self.matrix_rate = matrix_rate(trainer.strategy.root_device, self.dtype, torch.get_num_threads())
        self.devices = trainer.world_size
        self._windows = 0
        self._spent: list[tuple[int, float, float]] = []  # windows, seconds, the network's, to each log entry

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, ColorizationModule)
        pl_module.clock.on_cuda = pl_module.device.type == "cuda"
        pl_module.clock.mark("")

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, ColorizationModule)
        pl_module.clock.mark("update")
        self._windows += len(batch)
        if pl_module.logs_step:
            steps = pl_module.clock.read()
            network = sum(step.get(part, 0.0) for step in steps for part in NETWORK)
            self._spent.append((self._windows, sum(sum(step.values()) for step in steps), network))
            self._windows = 0
            pl_module.log_dict({f"train/{name}": x for name, x in self._figures(self._spent[-1:]).items()})

    def summary(self) -> dict[str, float]:
        """The same figures over the whole run but for its first log entry, which warms up; and what they rest
        on.
        """
        if not self._spent:
            return {}
        figures = self._figures(self._spent[1:] or self._spent)
        return figures | {"flops_per_window": self.flops, "matrix_flops_per_second": round(self.matrix_rate)}

    def _figures(self, spent: list[tuple[int, float, float]]) -> dict[str, float]:
        windows, seconds, network = (max(sum(column), 1e-9) for column in zip(*spent, strict=True))
        return {
            "photographs_per_second": windows * self.devices / seconds,
            "share_outside_network": 1 - network / seconds,
            "flop_utilisation": windows * self.flops / seconds / self.matrix_rate,
        }


def _writer(trainer: lightning.Trainer) -> Any:
    """TensorBoard's SummaryWriter of this run."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            return logger.experiment
    raise RuntimeError("these callbacks need a TensorBoardLogger")
