"""What was measured on photographs: figures over all of them, how sure these are, and a table.

A figure is a ratio of two sums over photographs, so that one row of numbers for each photograph is all that
is kept, and drawing photographs anew (the bootstrap) needs no picture.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor

Array = np.ndarray[Any, np.dtype[Any]]


class Metric(NamedTuple):
    """How a figure is shown, and what it is."""

    heading: str
    digits: int
    meaning: str


METRICS = {
    "auc": Metric(
        "AuC %", 1, "pixels within 0, 1 .. 150 ab units of the truth, mean of the thresholds; pooled"
    ),
    "auc_rebalanced": Metric(
        "AuC reb. %", 1, "AuC, each pixel weighing 1 / max(prior of its true bin, 1e-4)"
    ),
    "ab_rmse": Metric("ab RMSE", 1, "root of the mean squared ab distance; pixels of all photographs pooled"),
    "ciede2000": Metric("CIEDE2000", 2, "mean colour difference of the pixels, mean over photographs"),
    "psnr": Metric(
        "PSNR dB", 1, "of each photograph over RGB, mean over photographs; equal pictures count 100"
    ),
    "ssim": Metric("SSIM", 3, "of each photograph over RGB; Gaussian window 11, sigma 1.5, data range 1"),
    "lpips": Metric("LPIPS", 3, "of each photograph; AlexNet, version 0.1"),
    "colorfulness": Metric("colourful", 1, "Hasler & Suesstrunk 2003, signed rg, yb; mean over photographs"),
    "colorfulness_difference": Metric(
        "less orig.", 1, "colourfulness less the original's, mean over photographs"
    ),
    "chroma": Metric("chroma", 1, "mean of sqrt(a^2 + b^2); pixels of all photographs pooled"),
}
COLUMNS = {
    "auc": "AuC %",
    "auc_rebalanced": "AuC rebalanced %",
    "psnr": "PSNR dB",
    "colorfulness": "colourfulness",
}
EQUAL = 99.0  # dB of PSNR that only equal pictures have: they have no finite one
_AT_A_TIME = 64  # draws of the bootstrap; of 50,000 photographs they are 26 MB


class Interval(NamedTuple):
    """A figure and the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


class Measurements:
    """For each way to colour and each photograph, the two sums of each metric.

    Args:
        metrics: which, in order; keys of `METRICS`.
    """

    def __init__(self, metrics: Sequence[str]) -> None:
        self.metrics = tuple(metrics)
        self._parts: dict[str, list[Array]] = {}

    def add(self, way: str, sums: Mapping[str, tuple[Tensor, Tensor | float]]) -> None:
        """Add some photographs: metric -> sum of values (b) and of what it is to be divided by, (b) or one
        number.
        """
        columns = []
        for metric in self.metrics:
            value, weight = (torch.as_tensor(part).double().cpu() for part in sums[metric])
            columns.append(torch.stack((value, weight.expand_as(value)), dim=-1))
        self._parts.setdefault(way, []).append(torch.stack(columns, dim=1).numpy())

    @property
    def ways(self) -> list[str]:
        return list(self._parts)

    def __len__(self) -> int:
        """How many photographs there are."""
        return sum(len(part) for part in next(iter(self._parts.values()), []))

    def rows(self, way: str) -> Float64[Array, "n k 2"]:
        """The sums of all photographs."""
        return np.concatenate(self._parts[way])

    def last(self, way: str) -> Float64[Array, "b k"]:
        """The figures of each of the photographs that were added last."""
        return self._figures(self._parts[way][-1])

    def values(self) -> dict[str, dict[str, float]]:
        """way -> metric -> figure over all photographs."""
        return {way: self._named(self._figures(self.rows(way).sum(axis=0))) for way in self._parts}

    def of_each(self, way: str) -> Float64[Array, "n k"]:
        """The figures of each photograph by itself."""
        return self._figures(self.rows(way))

    def intervals(self, resamples: int = 1000, seed: int = 0) -> dict[str, dict[str, Interval]]:
        """way -> metric -> figure and its 95 % interval: percentiles over `resamples` sets of as many
        photographs drawn with replacement, the same sets for all ways.

        Source: Efron 1979.
        """
        n, random = len(self), np.random.default_rng(seed)
        rows = {way: self.rows(way) for way in self._parts}
        drawn: dict[str, list[Array]] = {way: [] for way in rows}
        for start in range(0, resamples, _AT_A_TIME):
            draws = min(_AT_A_TIME, resamples - start)
            counts = np.stack(
                [np.bincount(random.integers(n, size=n), minlength=n) for _ in range(draws)]
            ).astype(np.float64)
            for way, sums in rows.items():
                drawn[way].append(self._figures((counts @ sums.reshape(n, -1)).reshape(draws, -1, 2)))
        found: dict[str, dict[str, Interval]] = {}
        for way, values in self.values().items():
            low, high = np.percentile(np.concatenate(drawn[way]), (2.5, 97.5), axis=0).tolist()
            found[way] = {
                metric: Interval(value, a, b)
                for (metric, value), a, b in zip(values.items(), low, high, strict=True)
            }
        return found

    def _figures(self, sums: Float64[Array, "*n k 2"]) -> Float64[Array, "*n k"]:
        figures: Array = sums[..., 0] / np.maximum(sums[..., 1], 1e-300)
        for k, metric in enumerate(self.metrics):
            if metric == "ab_rmse":
                figures[..., k] = np.sqrt(figures[..., k])
            if metric.startswith("auc"):
                figures[..., k] *= 100
        return figures

    def _named(self, figures: Float64[Array, " k"]) -> dict[str, float]:
        return dict(zip(self.metrics, figures.tolist(), strict=True))


def shown(metric: str, value: float) -> str:
    """A figure as it is printed; "-" where there is none."""
    if not math.isfinite(value) or (metric == "psnr" and value >= EQUAL):
        return "-"
    return f"{value:z.{METRICS[metric].digits}f}"  # z: no -0.0


def print_table(results: Mapping[str, Mapping[str, float]], title: str) -> None:
    """Print four figures of each way as a table."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right")
    for name, row in results.items():
        table.add_row(name, *(shown(key, row[key]) for key in COLUMNS))
    Console().print(table)


def print_intervals(found: Mapping[str, Mapping[str, Interval]], title: str) -> None:
    """Print all figures with half the width of their intervals, in two tables that fit 80 columns."""
    metrics = list(next(iter(found.values())))
    near = [m for m in metrics if m in ("auc", "auc_rebalanced", "ab_rmse", "ciede2000")]
    for part in (near, [m for m in metrics if m not in near]):
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("", overflow="fold", max_width=17)
        for metric in part:
            table.add_column(METRICS[metric].heading, justify="right", no_wrap=True)
        for way, row in found.items():
            table.add_row(way, *(_with_spread(metric, row[metric], len(part) > 4) for metric in part))
        Console(width=80).print(table)


def _with_spread(metric: str, interval: Interval, below: bool) -> str:
    value = shown(metric, interval.value)
    if value == "-":
        return value
    half = f"{(interval.high - interval.low) / 2:.{METRICS[metric].digits}f}"
    return f"{value}\n±{half}" if below else f"{value} ±{half}"
