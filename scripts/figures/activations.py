"""Accuracy of each activation on MNIST over the epochs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from colorize.studies.activations import WITH, WITHOUT
from colorize.studies.summary import Record, summarise
from scripts.figures.gradients import COLORS, MARKERS

BEYOND = 100.3  # the axis is logarithmic in the distance to it, so that both 30 and 99 % can be told


def curves(records: Sequence[Record]) -> Figure:
    """Training accuracy above, test accuracy below; without batch norm on the left, with it on the right."""
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    names = list(dict.fromkeys(str(record["activation"]) for record in records))
    for row, split in zip(axes, ("training", "test"), strict=True):
        row[0].set_ylabel(f"{split} accuracy (%)")
        for ax, norm in zip(row, (WITHOUT, WITH), strict=True):
            for name in names:
                column = f"{split} accuracy (%)"
                own = [r for r in records if r["activation"] == name and r["batch norm"] == norm]
                table = summarise(own, ["epoch"], [column])
                epochs = [int(epoch) for (epoch,) in table]
                means = np.array([columns[column].mean for columns in table.values()])
                spread = np.nan_to_num([columns[column].deviation for columns in table.values()])
                ax.plot(epochs, means, color=COLORS[name], marker=MARKERS[name], ms=5, lw=1.3, label=name)
                ax.fill_between(
                    epochs, means - spread, np.minimum(means + spread, 100), color=COLORS[name], alpha=0.15
                )
            ax.set_title(f"{norm} batch norm")
    axes[0, 0].set_yscale(
        "function", functions=(lambda a: -np.log10(np.maximum(BEYOND - a, 1e-3)), lambda v: BEYOND - 10**-v)
    )
    ticks = [10, 50, 80, 90, 95, 98, 99, 100]
    axes[0, 0].set(yticks=ticks, yticklabels=ticks, ylim=(0, 100.05))
    for ax in axes[1]:
        ax.set_xlabel("epoch")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure
