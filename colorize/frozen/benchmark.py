"""Frozen files beside the colorizer that they were made from, timed."""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from colorize.benchmarks.timing import Timing, measure
from colorize.colorizer import Array, Colorizer
from colorize.frozen.export import freeze
from colorize.frozen.running import FrozenColorizer


def coloring(colorizer: Colorizer, rgb: Array, runs: int) -> list[Timing]:
    """A picture through ONNX Runtime and through torch; both take and give uint8.

    Args:
        colorizer: on the processor.
        rgb: h w 3 of uint8.
        runs: how often.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frozen.onnx"
        freeze(colorizer, path)
        frozen = FrozenColorizer.load(path)
        grey = np.broadcast_to(rgb[:, :, 1:2], rgb.shape)
        task = f"colour {rgb.shape[0] * rgb.shape[1] / 1e6:.1f} megapixels, {colorizer.name}"
        ways: dict[str, Callable[[Array], object]] = {"ONNX Runtime": frozen, "torch": colorizer}
        return [
            *measure(task, {way: functools.partial(run, rgb) for way, run in ways.items()}, runs),
            *measure(f"{task}, grey", {way: functools.partial(run, grey) for way, run in ways.items()}, runs),
        ]
