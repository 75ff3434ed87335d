"""The temperature's pictures: bars of the article's examples, a photograph from mean to mode."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from colorize.studies.temperature import EXAMPLES, probabilities


def example_bars(temperatures: Sequence[float]) -> Figure:
    """Probabilities of each example's scores, one bar a temperature."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots(1, len(EXAMPLES), sharey=True, width_ratios=[3, 3, 3.4])
    colors = colormaps["plasma"](np.linspace(0, 0.9, len(temperatures)))
    for ax, (name, (scores, _)) in zip(axes, EXAMPLES.items(), strict=True):
        shown = list(dict.fromkeys(scores))
        width = 0.8 / len(temperatures)
        for k, (t, color) in enumerate(zip(temperatures, colors, strict=True)):
            by_score = dict(zip(scores, probabilities(scores, t).tolist(), strict=True))
            heights = [by_score[score] for score in shown]
            places = np.arange(len(shown)) + (k - (len(temperatures) - 1) / 2) * width
            ax.bar(places, heights, width, color=color, label=f"T = {t:g}")
        each = [f"{score:g}" if scores.count(score) == 1 else f"each {score:g}" for score in shown]
        ax.set(title=f"scores {name}", xlabel="score", xticks=range(len(shown)), xticklabels=each)
        ax.grid(False, axis="x")
    axes[0].set_ylabel("probability")
    axes[-1].legend(loc="upper left")
    return figure


def photograph(original: np.ndarray, decoded: Sequence[np.ndarray], temperatures: Sequence[float]) -> Figure:
    """The photograph decoded at each temperature, and as it was."""
    names = [f"T = {t:g}" + {1: ", the mean", 0: ", the mode"}.get(t, "") for t in temperatures]
    pictures = [*decoded, original]
    columns = 4
    rows = -(-len(pictures) // columns)
    height, width = original.shape[:2]
    figure = Figure(figsize=(8, rows * (2 * height / width + 0.3)), layout="constrained")
    for ax in figure.subplots(rows, columns, squeeze=False).flat:
        ax.axis("off")
    for ax, name, picture in zip(figure.axes, [*names, "original"], pictures, strict=False):
        ax.imshow(picture, interpolation="lanczos")
        ax.set_title(name)
    return figure
