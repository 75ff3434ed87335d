"""Kernel, bias and activity regularizers: fitted lines, and bars of weight, bias and outputs."""

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from colorize.studies.places import PLACES
from colorize.studies.summary import Table

COLORS = {"none": "0.35", "kernel": "tab:blue", "bias": "tab:orange", "activity": "tab:green"}


def lines_and_bars(table: Table, samples: tuple[Tensor, Tensor], strength: float) -> Figure:
    """Mean lines through the samples of the first run; means and standard deviations of all runs below."""
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.15, 1])
    x = np.linspace(-2.5, 2.5, 2)
    for ax, kind in zip(top.subplots(1, 2, sharey=True), ("L1", "L2"), strict=True):
        ax.plot(samples[0][:, 0], samples[1], ".", color="0.6", ms=4, label="samples of run 1")
        for name in ("none", *PLACES):
            row = table[("none",) if name == "none" else (f"{name} {kind}",)]
            y = row["weight"].mean * x + row["bias"].mean
            ax.plot(
                x, y, color=COLORS[name], lw=1.8, label=f"{kind} on the {name}" if name in PLACES else name
            )
        ax.set(xlabel="x", title=f"{kind}, λ = {strength:g}")
        ax.legend(loc="upper left")
    top.axes[0].set_ylabel("y")
    names = [name for (name,) in table]
    titles = {"weight": "weight w", "bias": "bias b", "mean |output|": "mean |output|"}
    for ax, (column, title) in zip(bottom.subplots(1, 3, sharey=True), titles.items(), strict=True):
        means = [table[(name,)][column].mean for name in names]
        spreads = np.nan_to_num([table[(name,)][column].deviation for name in names])
        ax.barh(names, means, xerr=spreads, color=[COLORS[name.split()[0]] for name in names], capsize=3)
        ax.set(title=title, xlabel={"weight": "units of y / x"}.get(column, "units of y"))
        ax.grid(False, axis="y")
    bottom.axes[0].invert_yaxis()
    return figure
