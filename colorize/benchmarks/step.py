"""The parts of a training step as configured, beside the network's forward and backward alone."""

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from omegaconf import OmegaConf
from torch import Tensor

from colorize.clock import NETWORK, StepClock, matrix_rate, network_flops, precision_dtype
from colorize.color import rgb_to_lab
from colorize.configuration import compose_config
from colorize.data import PhotoData
from colorize.module import ColorizationModule
from colorize.trainer import build_trainer, quiet_lightning
from colorize.training import bins_and_prior, build_module

WARM_UP = 2  # steps


@dataclass(frozen=True)
class StepTiming:
    """Median milliseconds of the parts of training steps.

    Attributes:
        parts: data and logging; input (augmentation, Lab); network forward; loss (encoding, cross-entropy,
            penalty); loss backward; network backward; update (clipping, optimizer, schedule).
        alone: the network's forward and backward on the same batches, nothing else in between.
        batch: windows in a step.
        flops: of the network for one step.
        matrix_rate: floating-point operations a second of this device in products of square matrices.
    """

    parts: dict[str, float]
    alone: float
    batch: int
    flops: int
    matrix_rate: float

    @property
    def step(self) -> float:
        """Milliseconds of all parts together."""
        return sum(self.parts.values())

    @property
    def share_outside_network(self) -> float:
        """What is not the network's forward and backward within the step."""
        return 1 - sum(self.parts[part] for part in NETWORK) / self.step

    @property
    def flop_utilisation(self) -> float:
        """The network's arithmetic over what the device could have done in matrix products meanwhile."""
        return self.flops / (self.step / 1e3) / self.matrix_rate


def measure(overrides: Sequence[str] = (), steps: int = 8) -> StepTiming:
    """Measure training steps, of which every one logs; by default every tenth does.

    Args:
        overrides: settings as on train.py's command line, e.g. ["experiment=paper", "data.root=my_photos"].
        steps: how many, behind two that warm up.

    Raises:
        ValueError: for a wrong setting or unusable photographs.
    """
    shortened = [f"trainer.max_steps={steps + WARM_UP}", "trainer.log_every_steps=1", "trainer.devices=1"]
    settings = cast(dict[str, Any], OmegaConf.to_container(compose_config([*overrides, *shortened])))
    quiet_lightning()
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(settings, Path(folder))
        trainer.limit_val_batches = 0
        data = PhotoData(**settings["data"], seed=settings["seed"], cache_dir=folder)
        data.setup()
        module = build_module(settings, data, *bins_and_prior(data, settings["loss"], Path(folder)))
        clock, alone = _KeptClock(), _NetworkAlone()
        module.clock = clock
        trainer.callbacks.append(alone)  # type: ignore[attr-defined]
        trainer.fit(module, data)
    device = trainer.strategy.root_device
    return StepTiming(
        parts={
            part: 1e3 * statistics.median(step[part] for step in clock.steps[WARM_UP:])
            for part in clock.steps[WARM_UP]
        },
        alone=1e3 * statistics.median(alone.seconds[WARM_UP:]),
        batch=alone.batch,
        flops=alone.batch * network_flops(module.network, len(module.bins), module.window),
        matrix_rate=matrix_rate(device, precision_dtype(str(trainer.precision)), torch.get_num_threads()),
    )


class _KeptClock(StepClock):
    """Keeps what is read off it."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[dict[str, float]] = []

    def read(self) -> list[dict[str, float]]:
        steps = super().read()
        self.steps += steps
        return steps


class _NetworkAlone(Callback):
    """Behind each step, takes the same batch through the network alone."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.batch = 0

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Tensor,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, ColorizationModule)
        self.batch = len(batch)
        lightness = rgb_to_lab(pl_module.augment.geometry(batch, pl_module.window))[:, :1].contiguous()
        if pl_module.channels_last:
            lightness = lightness.contiguous(memory_format=torch.channels_last)
        pl_module.zero_grad()
        gradient: Tensor | None = None
        for timed in (False, True):  # once to know the shape of the gradient
            _wait_for(pl_module.device)
            started = time.perf_counter()
            with trainer.precision_plugin.forward_context():
                logits = pl_module.forward_window(lightness)
            if gradient is None:
                gradient = torch.ones_like(logits)
            if timed:
                torch.autograd.backward(logits, gradient)
                _wait_for(pl_module.device)
                self.seconds.append(time.perf_counter() - started)
        pl_module.zero_grad()
        pl_module.clock.mark("")


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
