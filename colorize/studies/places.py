"""Kernel, bias and activity regularizers, each alone, on one small regression: y = w x + b."""

from collections.abc import Sequence

import torch
from torch import nn

from colorize.data.decoding import with_progress
from colorize.data.toy import linear_regression
from colorize.regularizers import Penalty, Regularizer
from colorize.studies.landscape import descend
from colorize.studies.summary import Record, Table

PLACES = ("kernel", "bias", "activity")
SLOPE, INTERCEPT = 2.0, 3.0  # of the samples


def regularizers(strength: float) -> dict[str, Regularizer]:
    """None, and each penalty in each place; lambda is the same everywhere."""
    kinds = {"L1": Penalty(l1=strength), "L2": Penalty(l2=strength)}
    alone = {f"{place} {kind}": Regularizer(**{place: penalty})  # type: ignore[arg-type]
             for kind, penalty in kinds.items() for place in PLACES}  # fmt: skip
    return {"none": Regularizer(), **alone}


def compare(strength: float, samples: int, steps: int, lr: float, seeds: Sequence[int]) -> list[Record]:
    """Fit y = w x + b to samples of y = 2 x + 3 by gradient descent from w = b = 0, under each regularizer.

    Args:
        strength: lambda.
        samples: how many; x is Gaussian of variance 1, the noise has standard deviation 0.3.
        steps: of gradient descent on the mean squared error of all samples.
        lr: learning rate.
        seeds: samples of their own for each of them.

    Returns:
        a record for each regularizer and seed: w, b, the mean |output|, the mean squared error.
    """
    records: list[Record] = []
    runs = [(name, seed) for seed in seeds for name in regularizers(strength)]
    for name, seed in with_progress(runs, "fitting", len(runs)):
        x, y = linear_regression([SLOPE], samples, intercept=INTERCEPT, seed=seed)
        line = nn.Linear(1, 1)
        nn.init.zeros_(line.weight)
        nn.init.zeros_(line.bias)
        descend(line, regularizers(strength)[name], x, y[:, None], steps, lr)
        with torch.no_grad():
            out = line(x)[:, 0]
        records.append(
            {
                "regularizer": name,
                "seed": seed,
                "weight": line.weight.item(),
                "bias": line.bias.item(),
                "mean |output|": out.abs().mean().item(),
                "mean squared error": (out - y).square().mean().item(),
            }
        )
    return records


def finding(table: Table, kind: str = "L2") -> str:
    """What each place does, from the records summarised by regularizer."""

    def change(place: str, column: str) -> str:
        before, after = (table[(name,)][column].mean for name in ("none", f"{place} {kind}"))
        return f"{before:.2f} to {after:.2f}"

    return (
        f"Alone, {kind} on the kernel takes the weight from {change('kernel', 'weight')} and the bias from"
        f" {change('kernel', 'bias')}; on the bias it takes the bias from {change('bias', 'bias')} and the"
        f" weight from {change('bias', 'weight')}; on the activity it takes the mean |output| from"
        f" {change('activity', 'mean |output|')}, the weight from {change('activity', 'weight')} and the bias"
        f" from {change('activity', 'bias')}."
    )
