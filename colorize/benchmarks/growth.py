"""How the cost of encoding and loss grows with bins, pixels and photographs."""

from collections.abc import Sequence

import torch

from colorize.benchmarks.timing import Way, measure
from colorize.bins import Bins, grid_centers, srgb_centers
from colorize.losses import soft_cross_entropy

Row = tuple[int, int, int, float, float]
"""Bins, side of the grid of pixels, photographs, milliseconds of encoding, milliseconds of the loss."""


def growth(
    device: torch.device,
    runs: int,
    steps: Sequence[float] = (20, 10, 7, 5),
    sides: Sequence[int] = (22, 44, 88),
    batches: Sequence[int] = (10, 40, 160),
    middle: tuple[float, int, int] = (10, 44, 16),
) -> list[Row]:
    """Medians, with one of the three varied at a time about `middle` (grid step, side, photographs)."""
    step, side, batch = middle
    cases = [*((s, side, batch) for s in steps), *((step, s, batch) for s in sides if s != side),
             *((step, side, b) for b in batches if b != batch)]  # fmt: skip
    return [_case(*case, runs, device) for case in cases]


def _case(step: float, side: int, batch: int, runs: int, device: torch.device) -> Row:
    bins = Bins(srgb_centers(step), step=step).to(device)
    lightness_free = grid_centers(step)
    ab = lightness_free[torch.randint(len(lightness_free), (batch, side, side))].movedim(-1, 1).to(device) / 2
    fresh = torch.randn(batch, len(bins), side, side, device=device)
    logits = fresh.clone().requires_grad_()
    index, weight = bins.soft_encode(ab)

    def forward_backward() -> None:
        logits.grad = None
        torch.autograd.backward(soft_cross_entropy(logits, index, weight).mean())

    ways = {"encode": Way(lambda: bins.soft_encode(ab)), "loss": Way(forward_backward)}
    encode, loss = measure("growth", ways, runs, device)
    return len(bins), side, batch, encode.median, loss.median
