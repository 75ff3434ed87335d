"""The landscape's pictures: histograms of weights, contours and paths of the optimum, rules of a step."""

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon
from torch import Tensor

from colorize.studies.landscape import Paths

COLORS = {"none": "0.45", "L1": "tab:orange", "L1, proximal": "tab:red", "L2": "tab:blue"}


def histograms(weights: Mapping[str, Tensor], strength: float) -> Figure:
    """Overlaid histograms of all kernel weights, the count on a logarithmic axis."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    ax = figure.subplots()
    edges = np.linspace(-1, 1, 102)
    for name, values in weights.items():
        zeros = 100 * (values == 0).float().mean().item()
        label = f"{name} ({zeros:.0f} % exactly 0)"
        ax.hist(
            values.clamp(-1, 1).numpy(),
            edges,
            histtype="step",
            lw=3.5 if name == "L1" else 1.5,
            color=COLORS[name],
            label=label,
        )
    ax.set(
        yscale="log",
        xlabel="weight (those beyond ±1 in the outermost bins)",
        ylabel="weights in a bin of 0.02",
    )
    ax.set_title(f"Kernel weights after training, λ = {strength:g}")
    ax.legend()
    return figure


def contours(paths: Paths) -> Figure:
    """The loss over two weights; where L1's diamond and L2's circle touch it; both paths of the optimum."""
    figure = Figure(figsize=(8, 4.3), layout="constrained")
    levels = paths.loss.min().item() + np.geomspace(0.02, paths.loss.max().item(), 14)
    for ax, name, path in zip(
        figure.subplots(1, 2, sharey=True), ("L1", "L2"), (paths.l1, paths.l2), strict=True
    ):
        ax.contour(paths.w1, paths.w2, paths.loss, levels=levels, cmap="Greys_r", linewidths=0.8)
        ax.axhline(0, color="0.3", lw=0.8)
        ax.axvline(0, color="0.3", lw=0.8)
        # The constraint that is as strong as the penalty: all weights of the same penalty as the optimum's.
        k = int((paths.strengths - paths.first_zero()).abs().argmin()) if paths.first_zero() < 1e9 else 0
        touching = path[k]
        if name == "L1":
            t = touching.abs().sum().item()
            ax.add_patch(
                Polygon(
                    [(t, 0), (0, t), (-t, 0), (0, -t)],
                    fc=COLORS[name],
                    alpha=0.3,
                    label=f"|w₁| + |w₂| ≤ {t:.2f}",
                )
            )
        else:
            t = touching.norm().item()
            ax.add_patch(Circle((0, 0), t, fc=COLORS[name], alpha=0.3, label=f"w₁² + w₂² ≤ {t * t:.2f}"))
        ax.plot(
            *path.T.numpy(), color=COLORS[name], lw=2.5, label=f"optimum, λ = 0 to {paths.strengths[-1]:g}"
        )
        ax.plot(*path[0].tolist(), "k*", ms=11, label="least loss, λ = 0")
        ax.plot(*touching.tolist(), "o", color="k", ms=6, label=f"λ = {paths.strengths[k]:.2g}")
        ax.set(
            title=f"{name}: the {'diamond' if name == 'L1' else 'circle'}", xlabel="weight w₁", aspect="equal"
        )
        ax.set(xlim=paths.w1[[0, -1]].tolist(), ylim=paths.w2[[0, -1]].tolist())
        ax.grid(False)
        ax.legend(loc="lower right")
    figure.axes[0].set_ylabel("weight w₂")
    return figure


def rule_paths(paths: Mapping[str, tuple[Tensor, Tensor]], lr: float, strength: float) -> Figure:
    """Weights under each penalty alone: lines as computed, dots by the closed form."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for ax, (name, (computed, closed)) in zip(
        figure.subplots(1, len(paths), sharey=True), paths.items(), strict=True
    ):
        steps = torch.arange(len(computed))
        every = slice(None, None, max(1, len(steps) // 15))
        for k in range(computed.shape[1]):
            ax.plot(steps, computed[:, k], color=COLORS[name], label="SGD steps" if k == 0 else None)
            ax.plot(steps[every], closed[every, k], "k.", ms=5, label="closed form" if k == 0 else None)
        difference = (computed - closed).abs().max().item()
        ax.set(title=f"{name}: differ by ≤ {difference:.1g}", xlabel="steps")
        ax.legend(loc="lower right")
    figure.axes[0].set_ylabel(f"weight (r = {lr:g}, λ = {strength:g})")
    return figure
