"""The line's pictures: fits, weights of each layer as heat maps, errors of all runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor, nn

from colorize.studies.line import Data
from colorize.studies.stacked import Snapshot
from colorize.studies.summary import Record, statistic

GAP = 1  # columns between the layers of a heat map


def fits(trained: Mapping[str, Sequence[nn.Sequential]], data: Data, runs: int = 5) -> Figure:
    """The samples, the line, and what the first runs under each penalty made of them."""
    x, y, line = data
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.subplots(2, 3, sharex=True, sharey=True)
    for ax, (name, networks) in zip(axes.flat, trained.items(), strict=False):
        ax.plot(x, y, ".", color="0.5", ms=4, label="samples")
        ax.plot(x, line, "k--", lw=1, label="the line")
        for run, network in enumerate(networks[:runs]):
            with torch.no_grad():
                out = network(x[:, None])[:, 0]
            ax.plot(x, out, lw=1.3, label=f"run {run + 1}")
        ax.set_title(name)
    axes.flat[-1].axis("off")
    axes.flat[-1].legend(*axes.flat[0].get_legend_handles_labels(), loc="center", fontsize=10)
    for ax in (axes[1, 0], axes[1, 1], axes[0, 2]):
        ax.set_xlabel("x")
        ax.tick_params(labelbottom=True)
    for ax in axes[:, 0]:
        ax.set_ylabel("y")
    return figure


def heat_map(kernels: Sequence[Tensor], run: int) -> np.ndarray:
    """The kernels of one network side by side, outputs downwards; the last one lies on its side."""
    parts: list[np.ndarray] = []
    for kernel in kernels:
        values = kernel[run].numpy()
        values = values.T if len(values) == 1 else values
        parts += [values, np.full((len(values), GAP), np.nan)]
    return np.concatenate(parts[:-1], axis=1)


def _show(ax: Axes, values: np.ndarray) -> AxesImage:
    image = ax.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return image


LAYERS = "in each panel from the left: kernels 1 to 10, 10 to 10, 10 to 10, 10 to 1"


def heat_maps(names: Sequence[str], snapshots: Sequence[Snapshot]) -> Figure:
    """The weights of each penalty's first run at the start, early, half way and at the end."""
    last = len(snapshots) - 1
    times = sorted({0, min(3, last), last // 4, last})
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots(len(names), len(times), squeeze=False)
    for run, name in enumerate(names):
        for ax, time in zip(axes[run], times, strict=True):
            image = _show(ax, heat_map(snapshots[time].kernels, run))
            if run == 0:
                ax.set_title(f"epoch {snapshots[time].epoch}" if time else "at the start")
        axes[run, 0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.get_layout_engine().set(wspace=0.08)  # type: ignore[union-attr, call-arg]
    figure.colorbar(image, ax=axes, label="weight", shrink=0.8, extend="both")
    figure.supxlabel(LAYERS, fontsize=10)
    return figure


def heat_maps_over_time(names: Sequence[str], snapshots: Sequence[Snapshot], path: Path) -> None:
    """The same over the epochs as an animated GIF, its frames closer together at the start."""
    last = len(snapshots) - 1
    times = sorted({round(last * share**2) for share in np.linspace(0, 1, 41)})
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes = figure.subplots(2, 3)
    figure.get_layout_engine().set(wspace=0.1)  # type: ignore[union-attr, call-arg]
    images = []
    for run, (ax, name) in enumerate(zip(axes.flat, names, strict=False)):
        images.append(_show(ax, heat_map(snapshots[0].kernels, run)))
        ax.set_title(name)
    axes.flat[-1].axis("off")
    counter = axes.flat[-1].text(0.5, 0.5, "", ha="center", va="center", fontsize=16)
    figure.colorbar(images[0], ax=axes, label="weight", shrink=0.8, extend="both")
    figure.supxlabel(LAYERS, fontsize=10)

    def draw(time: int) -> list[AxesImage]:
        for run, image in enumerate(images):
            image.set_data(heat_map(snapshots[time].kernels, run))
        counter.set_text(f"epoch {snapshots[time].epoch}")
        return images

    frames = [*times, *[last] * 8]  # rest on the end before it starts again
    FuncAnimation(figure, draw, frames=frames, init_func=list).save(path, PillowWriter(fps=6), dpi=100)


def errors(records: Sequence[Record], article: Mapping[str, Sequence[float]]) -> Figure:
    """The total error of every run of every kind of network; the article's five beside them."""
    rows: dict[str, list[float]] = {}
    for record in records:
        rows.setdefault(str(record["network"]), []).append(float(record["total error"]))
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    ax = figure.subplots()
    for place, (name, values) in enumerate(rows.items()):
        spread = (np.arange(len(values)) * 0.618 % 1 - 0.5) * 0.5
        every, mean = statistic(values), statistic(values[:5])
        first = place == 0
        ax.plot(values, place + spread, ".", color="tab:blue", alpha=0.5, label="a run" if first else None)
        ax.plot(every.mean, place, "k|", ms=16, mew=2.5, label=f"mean of all {every.n}" if first else None)
        ax.plot(mean.mean, place, "v", color="tab:orange", label="mean of the first 5" if first else None)
        if name in article or f"{name}, 1-10-10-10-1" in article:
            theirs = article.get(name) or article[f"{name}, 1-10-10-10-1"]
            label = "the article's runs, of other samples" if name in article else None
            ax.plot(theirs, [place] * len(theirs), "x", color="tab:red", label=label)
    ax.set(
        yticks=range(len(rows)),
        yticklabels=rows,
        xlabel="total error, sum of |output - y| over the samples (units of y)",
    )
    ax.invert_yaxis()
    figure.legend(loc="outside lower center", ncols=2)
    return figure
