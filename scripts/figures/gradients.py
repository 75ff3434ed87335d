"""The gradients' pictures: norms by layer and over training, and the sheet of activations."""

import math
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure

from colorize.studies.gradients import curves
from colorize.studies.summary import Record, summarise

COLORS = {
    "sigmoid": "tab:red", "relu": "tab:blue", "lrelu": "tab:cyan", "prelu": "tab:purple",
    "rrelu": "tab:green", "elu": "tab:orange", "prelu_shared": "tab:pink",
}  # fmt: skip
MARKERS = {
    "sigmoid": "o", "relu": "s", "lrelu": "v", "prelu": "^", "rrelu": "D", "elu": "x", "prelu_shared": "P",
}  # fmt: skip


def _logarithms(records: Sequence[Record]) -> list[Record]:
    """The norms' means are taken over their logarithms, so that the axis shows the middle of the runs."""
    floor = 1e-12  # a layer may be dead
    return [{**r, "log": math.log10(max(float(r["gradient norm"]), floor))} for r in records]


def by_layer(records: Sequence[Record]) -> Figure:
    """Norm of each layer's gradient before training and at its end."""
    steps = sorted({int(record["step"]) for record in records})
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, step in zip(axes, (steps[0], steps[-1]), strict=True):
        at = [record for record in _logarithms(records) if record["step"] == step]
        for name in dict.fromkeys(str(record["activation"]) for record in at):
            own = [record for record in at if record["activation"] == name]
            means = summarise(own, ["layer"], ["log"])
            layers = [int(layer) for (layer,) in means]
            middle = torch.tensor([columns["log"].mean for columns in means.values()])
            spread = torch.tensor([columns["log"].deviation for columns in means.values()]).nan_to_num()
            color = COLORS[name]
            ax.plot(layers, 10**middle, color=color, marker=MARKERS[name], ms=5, lw=1.3, label=name)
            ax.fill_between(layers, 10 ** (middle - spread), 10 ** (middle + spread), color=color, alpha=0.12)
        ax.set(yscale="log", xlabel="layer, from the input", xticks=layers)
        ax.set_title("at the start" if step == 0 else f"after {step} steps")
    axes[0].set_ylabel("norm of the kernel's gradient")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def over_training(records: Sequence[Record]) -> Figure:
    """Norm of the first layer's gradient, and the share of points told right, while the network trains."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in dict.fromkeys(str(record["activation"]) for record in records):
        own = [r for r in _logarithms(records) if r["activation"] == name and r["layer"] == 1]
        means = summarise(own, ["step"], ["log", "right (%)"])
        steps = [int(step) for (step,) in means]
        left.plot(steps, [10 ** columns["log"].mean for columns in means.values()], color=COLORS[name])
        share = [columns["right (%)"].mean for columns in means.values()]
        right.plot(steps, share, color=COLORS[name], label=name)
    left.set(yscale="log", xlabel="step", ylabel="norm of the first kernel's gradient")
    right.set(xlabel="step", ylabel="points told right (%)")
    figure.legend(loc="outside lower center", ncols=6)
    return figure


def sheet(names: Sequence[str]) -> Figure:
    """Every activation with its derivative; rrelu with the band from which training draws."""
    x = torch.linspace(-4, 4, 801)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots(2, -(-len(names) // 2), sharex=True, sharey=True)
    for ax, name in zip(axes.flat, names, strict=False):
        found = curves(name, x)
        ax.plot(x, found["value"], color="tab:blue", lw=2, label="f(x)")
        ax.plot(x, found["derivative"], color="tab:orange", lw=1.6, ls="--", label="f '(x)")
        for what, color in (("value", "tab:blue"), ("derivative", "tab:orange")):
            if f"{what}, low" in found:
                label = {"value": "f(x) in training", "derivative": "f '(x) in training"}[what]
                low, high = found[f"{what}, low"], found[f"{what}, high"]
                ax.fill_between(x, low, high, where=x < 0, color=color, alpha=0.3, lw=0, label=label)
        ax.axhline(0, color="0.3", lw=0.6)
        ax.axvline(0, color="0.3", lw=0.6)
        title = {"lrelu": "lrelu, slope 0.01", "prelu": "prelu, slope 0.25 at the start",
                 "rrelu": "rrelu, x / a, a from 3 to 8", "elu": "elu, alpha 1"}.get(name, name)  # fmt: skip
        ax.set(title=title, ylim=(-1.6, 3))
    for ax in axes[-1]:
        ax.set_xlabel("x")
    for ax in axes[:, 0]:
        ax.set_ylabel("f(x), f '(x)")
    handles = {label: h for ax in axes.flat for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
    return figure
