"""Tables and curves for sRGB as files hold it: what whole numbers take to CIE Lab's cube roots, and back."""

import functools
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int, Shaped

from colorize.cielab import EPSILON, GAMUT_SLACK, GAMUT_STEPS, KNEE, SLOPE, WHITE_XYZ, XYZ_FROM_RGB

Array = np.ndarray[Any, np.dtype[Any]]

TOP = 65000  # linear light of 1 in the table of the transfer curve; uint16 has room for the slack above it

numbers = np.array([EPSILON, SLOPE, KNEE, GAMUT_SLACK, TOP, GAMUT_STEPS], np.float32)
"""For the compiled passes."""

_luma = np.array(XYZ_FROM_RGB[1])
_rgb_from_scaled = np.linalg.inv(np.array(XYZ_FROM_RGB) / np.array(WHITE_XYZ)[:, None])

top_from_scaled = (TOP * _rgb_from_scaled).astype(np.float32)
"""X/Xn, Y/Yn, Z/Zn -> linear RGB up to `TOP`."""


def root(
    rgb: Shaped[Array, "h w 3"],
    out: Float32[Array, " n"],
    spare: Float32[Array, " n"],
    index: Int[Array, " n"],
) -> None:
    """The cube root of Y/Yn, as CIE Lab takes it, (L* + 16) / 116, into `out`; the rest is to work in."""
    h, w = rgb.shape[:2]
    if rgb.dtype.kind == "u":
        if rgb.strides[2] == 0:
            np.copyto(index.reshape(h, w), rgb[:, :, 0])
            np.take(root_of_grey(rgb.dtype), index, mode="clip", out=out)
            return
        tables = luma_of_levels(rgb.dtype)
        for c in range(3):
            np.copyto(index.reshape(h, w), rgb[:, :, c])
            np.take(tables[c], index, mode="clip", out=spare if c else out)
            if c:
                out += spare
    else:
        linear = _srgb_to_linear(rgb.reshape(-1, 3).astype(np.float32))
        np.matmul(linear, _luma.astype(np.float32), out=out)
    dark = out <= EPSILON
    line = out[dark] * np.float32(SLOPE) + np.float32(16 / 116) if dark.any() else None
    np.cbrt(out, out=out)
    if line is not None:
        out[dark] = line


def _srgb_to_linear(srgb: Float[Array, "*n"]) -> Float[Array, "*n"]:
    return np.where(srgb > 0.04045, ((srgb.clip(0.04045) + 0.055) / 1.055) ** 2.4, srgb / 12.92)


@functools.cache
def luma_of_levels(dtype: np.dtype[Any]) -> Float32[Array, "3 levels"]:
    """What each level of R, G and B adds to Y/Yn."""
    top = np.iinfo(dtype).max
    return np.asarray(_luma[:, None] * _srgb_to_linear(np.arange(top + 1) / top), np.float32)


@functools.cache
def root_of_grey(dtype: np.dtype[Any]) -> Float32[Array, " levels"]:
    y = _luma.sum() * _srgb_to_linear(np.arange(np.iinfo(dtype).max + 1) / np.iinfo(dtype).max)
    return np.asarray(np.where(y > EPSILON, np.cbrt(y), SLOPE * y + 16 / 116), np.float32)


@functools.cache
def level_of_linear() -> Shaped[Array, " 65536"]:
    """The 8-bit sRGB level of linear light, cut to whole numbers of which `TOP` is 1."""
    x = np.minimum((np.arange(2**16) + 0.5) / TOP, 1)
    curve = np.where(x > 0.0031308, 1.055 * x ** (1 / 2.4) - 0.055, 12.92 * x)
    return np.asarray(np.rint(255 * curve), np.uint8)
