"""The full-size part of colouring: a picture's own lightness joined with coarse ab, without torch.

It is Lab -> RGB as `color.lab_to_rgb` does it, to a fraction of an 8-bit level, with tables for what integers
take and give. 8-bit pictures take one compiled pass (`_passes.h`); others, and all where it was not
compiled, go through numpy (joining_numpy.py). Both let go of the interpreter while they compute, so that
parts of a picture, and pictures, run in threads beside each other.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Shaped

from colorize import compiled, srgb_tables
from colorize.joining_numpy import STRIP, join_in_strips
from colorize.upsampling import cubic_taps, widen

Array = np.ndarray[Any, np.dtype[Any]]


def lightness(rgb: Shaped[Array, "h w 3"]) -> Float32[Array, "h w"]:
    """L* in [0, 100] of sRGB of type uint8, uint16 or floating point in [0, 1]."""
    pixels = rgb.shape[0] * rgb.shape[1]
    roots, spare = np.empty((2, pixels), np.float32)
    srgb_tables.root(rgb, roots, spare, np.empty(pixels, np.intp))
    return np.asarray((116 * roots - 16).reshape(rgb.shape[:2]))


def join(
    rgb: Shaped[Array, "h w 3"],
    ab: Float[Array, "2 i j"],
    step: tuple[float, float],
    threads: int = 1,
    out: Shaped[Array, "h w 3"] | None = None,
) -> Shaped[Array, "h w 3"]:
    """The picture with its own lightness and the colours `ab`, brought to its size and inside sRGB.

    Args:
        rgb: sRGB of type uint8, uint16 or floating point in [0, 1]; where the three channels share their
            memory it is known to be grey, and faster.
        ab: a* and b* on the network's grid.
        step: pixels of `ab` to one of `rgb`, downwards and to the right.
        threads: how many work on it.
        out: where to, contiguous and of the shape and type of `rgb`, which it may be; None: a new array.

    Returns:
        sRGB of the type of `rgb`.
    """
    h, w = rgb.shape[:2]
    out = np.empty((h, w, 3), rgb.dtype) if out is None else out
    shares = np.asarray(ab, np.float32) / np.array([500, -200], np.float32)[:, None, None]
    wide = widen(shares, w, step[1])
    join_rows = join_in_strips if compiled.passes is None or rgb.dtype != np.uint8 else _in_one_pass
    strip = max(1, STRIP // w)
    part = -(-h // (threads * strip)) * strip  # whole strips, so that threads change no sum
    parts = [slice(top, min(top + part, h)) for top in range(0, h, part)]

    def work(rows: slice) -> None:
        join_rows(rgb, wide, step[0], rows, out)

    if threads == 1:
        work(parts[0])
        return out
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, parts))
    return out


def _in_one_pass(rgb: Array, wide: Array, step: float, rows: slice, out: Array) -> None:
    """Join some rows of the picture; `wide` has coarse rows, `step` of them to one of its own."""
    assert compiled.passes is not None
    grey = rgb.strides[2] == 0
    lookup = srgb_tables.root_of_grey(rgb.dtype)[None] if grey else srgb_tables.luma_of_levels(rgb.dtype)
    pixels = rgb[rows] if grey or rgb.strides[2] == 1 else np.ascontiguousarray(rgb[rows])
    first, weights = cubic_taps(len(rgb), step, wide.shape[1])
    compiled.passes.join(
        pixels, lookup, wide, first[rows], weights[rows], srgb_tables.top_from_scaled,
        srgb_tables.level_of_linear(), srgb_tables.numbers, out[rows],
    )  # fmt: skip
