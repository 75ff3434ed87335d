"""A frozen file beside the colorizer that it was made from, timed."""

import functools

import numpy as np

from colorize.benchmarks.timing import Timing, measure
from colorize.colorizer import Array, Colorizer
from colorize.frozen.running import FrozenColorizer


def coloring(colorizer: Colorizer, frozen: FrozenColorizer, rgb: Array, runs: int) -> list[Timing]:
    """A picture through both; all take and give uint8.

    Args:
        colorizer: on the processor.
        frozen: made from it.
        rgb: h w 3 of uint8.
        runs: how often.
    """
    task = f"{rgb.shape[0] * rgb.shape[1] / 1e6:.1f} megapixels, {colorizer.name}"
    pictures = {f"colour {task}": rgb, f"colour {task}, grey": np.broadcast_to(rgb[:, :, 1:2], rgb.shape)}
    return [
        timing
        for name, picture in pictures.items()
        for timing in measure(
            name,
            {
                "frozen": functools.partial(frozen, picture),
                "frozen, all in the graph": functools.partial(frozen.in_graph, picture),
                "torch": functools.partial(colorizer, picture),
            },
            runs,
        )
    ]
