"""Optimizers and learning-rate schedules, by name."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from colorize.ranges import check_values
from colorize.regularizers import decay_groups

OPTIMIZERS = ("sgd", "adam", "adamw")
SCHEDULES = ("constant", "steps", "cosine")


@dataclass(frozen=True)
class Optimization:
    """Which optimizer, with which learning rate when.

    Attributes:
        name: sgd, adam or adamw.
        lr: learning rate after the warm-up.
        weight_decay: on kernels alone. Coupled with sgd and adam, i.e. the gradient of weight_decay / 2 * sum
            w^2; decoupled with adamw, i.e. a shrinking by lr * weight_decay a step, which is no penalty.
        momentum: of sgd.
        betas: of adam and adamw.
        schedule: constant; steps (times `step_factor` every `step_every` steps); cosine (down to
            `final_share` of lr at the last step, or when the time is over).
        warmup_steps: steps over which the rate rises linearly to lr, with any schedule.
    """

    name: str = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    betas: Sequence[float] = (0.9, 0.99)
    schedule: str = "constant"
    warmup_steps: int = 0
    step_every: int = 10_000
    step_factor: float = 0.316
    final_share: float = 0.01

    def __post_init__(self) -> None:
        if self.name not in OPTIMIZERS:
            raise ValueError(f"unknown optimizer {self.name!r}; choose one of {', '.join(OPTIMIZERS)}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"unknown schedule {self.schedule!r}; choose one of {', '.join(SCHEDULES)}")
        if len(self.betas) != 2 or not all(isinstance(b, int | float) and 0 <= b < 1 for b in self.betas):
            raise ValueError(f"optimizer.betas must be two numbers in [0, 1), got {list(self.betas)}")
        check_values(vars(self), "optimizer.")

    def optimizer(self, network: nn.Module, fused: bool = False) -> torch.optim.Optimizer:
        """The optimizer of a network's parameters.

        Args:
            network: whose parameters.
            fused: take each step in one kernel, for parameters on CPUs or CUDA devices; on two CPU cores
                AdamW takes half the time for conv8.
        """
        groups = decay_groups(network, self.weight_decay)
        if self.name == "sgd":
            return torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum, fused=fused)
        kind = torch.optim.Adam if self.name == "adam" else torch.optim.AdamW
        return kind(groups, lr=self.lr, betas=(self.betas[0], self.betas[1]), fused=fused)

    def rate(self, step: int, total_steps: float, time_share: float = 0.0) -> float:
        """Learning rate at a step, as a share of `lr`.

        Args:
            step: from 0.
            total_steps: where cosine ends; infinite where time alone ends it.
            time_share: how much of the time that training may take is over; cosine is as far along as the
                steps or the time, whichever is further.
        """
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        if self.schedule == "steps":
            return float(self.step_factor ** (step // self.step_every))
        if self.schedule == "cosine":
            steps_share = (step - self.warmup_steps) / max(1, total_steps - self.warmup_steps)
            progress = min(1.0, max(steps_share, time_share))
            return self.final_share + (1 - self.final_share) * (1 + math.cos(math.pi * progress)) / 2
        return 1.0
