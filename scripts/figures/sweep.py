"""Validation and training loss of the colorizer with dropout, early stopping and augmentation."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from colorize.studies.summary import Record, summarise
from colorize.studies.sweep import NONE


def curves(records: Sequence[Record], kept: Sequence[Record]) -> Figure:
    """A panel for each way beside none: mean and deviation of the losses, dots at the weights kept."""
    names = list(dict.fromkeys(str(record["variant"]) for record in records))
    ways = [name for name in names if name != NONE]
    figure = Figure(figsize=(8, 5.6), layout="constrained")
    axes = figure.subplots(2, -(-len(ways) // 2), sharex=True, sharey=True, squeeze=False)
    for ax, way in zip(axes.flat, ways, strict=False):
        for name, color in ((NONE, "0.4"), (way, "tab:blue")):
            own = [record for record in records if record["variant"] == name]
            for column, dashes in (("validation loss", "-"), ("training loss", ":")):
                table = summarise(own, ["step"], [column])
                steps = [int(step) for (step,) in table]
                means = np.array([columns[column].mean for columns in table.values()])
                spread = np.nan_to_num([columns[column].deviation for columns in table.values()])
                label = f"{column}, {'with it' if name == way else 'none of them'}"
                ax.plot(steps, means, dashes, color=color, lw=1.6, label=label)
                ax.fill_between(steps, means - spread, means + spread, color=color, alpha=0.15, lw=0)
        stops = [record for record in kept if record["variant"] == way]
        at = [
            r["at step"] if r["validation loss kept"] == r["least validation loss"] else r["steps run"]
            for r in stops
        ]
        ax.plot(
            at,
            [r["validation loss kept"] for r in stops],
            "o",
            color="tab:red",
            ms=5,
            label="weights kept by a run",
        )
        ax.set_title(way)
    for ax in axes[-1]:
        ax.set_xlabel("step")
    for ax in axes[:, 0]:
        ax.set_ylabel("rebalanced loss (nats)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
