"""How the network's coarse ab comes to a picture's own size."""

import functools
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32

_KEPT = 16  # tables of weights for the sizes seen last: the pictures of a folder are often alike

Array = np.ndarray[Any, np.dtype[Any]]


@functools.lru_cache(_KEPT)
def cubic_weights(pixels: int, step: float, size: int) -> Float32[Array, "{pixels} {size}"]:
    """How much each of `size` coarse pixels counts for each of the fine ones, `step` coarse pixels apart.

    Cubic convolution, widened where the fine grid is the coarser one, with pixels as areas: Pillow's bicubic,
    so that what `images.resize` took from a place comes back to it.

    Source: Keys 1981, a = -0.5.
    """
    center = (np.arange(pixels) + 0.5) * step - 0.5
    distance = np.abs(center[:, None] - np.arange(size)) / max(1.0, step)
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


@functools.lru_cache(_KEPT)
def cubic_taps(
    pixels: int, step: float, size: int
) -> tuple[Int32[Array, " {pixels}"], Float32[Array, "{pixels} taps"]]:
    """`cubic_weights` without most zeros: where to begin, and as many from there as any pixel needs."""
    weights = cubic_weights(pixels, step, size)
    used = weights != 0
    first = used.argmax(axis=1)
    count = int((size - used[:, ::-1].argmax(axis=1) - first).max())
    first = np.minimum(first, size - count)
    return first.astype(np.int32), np.take_along_axis(weights, first[:, None] + np.arange(count), axis=1)


def widen(planes: Float32[Array, "c i j"], pixels: int, step: float) -> Float32[Array, "c i {pixels}"]:
    """Rows of planes brought to a picture's width.

    Not as a product of matrices, for which BLAS would wake threads that stay awake for a while.
    """
    c, i, j = planes.shape
    first, weights = cubic_taps(pixels, step, j)
    columns = np.ascontiguousarray(planes.reshape(c * i, j).T)
    wide = np.zeros((pixels, c * i), np.float32)
    for k in range(weights.shape[1]):
        near = columns.take(first + k, axis=0)
        near *= weights[:, k : k + 1]
        wide += near
    return np.ascontiguousarray(wide.T).reshape(c, i, pixels)
