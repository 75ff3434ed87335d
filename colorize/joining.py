"""The full-size part of colouring: a picture's own lightness joined with coarse ab, without torch.

It is Lab -> RGB as `color.lab_to_rgb` does it, to a fraction of an 8-bit level, with tables for what integers
take and give. 8-bit pictures take one compiled pass (`_compiled.c`); others, and all where it was not
compiled, go through numpy in strips whose temporaries stay in the processor's cache. Both let go of the
interpreter while they compute, so that parts of a picture and pictures run in threads beside each other.
"""

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Shaped

from colorize import compiled
from colorize.cielab import EPSILON, GAMUT_SLACK, GAMUT_STEPS, KNEE, SLOPE, WHITE_XYZ, XYZ_FROM_RGB
from colorize.upsampling import cubic_taps, cubic_weights, widen

STRIP = 50_000  # pixels at a time: they stay in a core's cache, and threads seldom wait for each other

Array = np.ndarray[Any, np.dtype[Any]]

_TOP = 65000  # linear light of 1 in the table of the transfer curve; uint16 has room for the slack above it
_luma = np.array(XYZ_FROM_RGB[1])
_numbers = np.array([EPSILON, SLOPE, KNEE, GAMUT_SLACK, _TOP, GAMUT_STEPS], np.float32)
_rgb_from_scaled = np.linalg.inv(np.array(XYZ_FROM_RGB) / np.array(WHITE_XYZ)[:, None])
_top_from_scaled = (_TOP * _rgb_from_scaled).astype(np.float32)  # X/Xn, Y/Yn, Z/Zn -> linear RGB up to _TOP


def lightness(rgb: Shaped[Array, "h w 3"]) -> Float32[Array, "h w"]:
    """L* in [0, 100] of sRGB of type uint8, uint16 or floating point in [0, 1]."""
    pixels = rgb.shape[0] * rgb.shape[1]
    root, spare = np.empty((2, pixels), np.float32)
    _root(rgb, root, spare, np.empty(pixels, np.intp))
    return np.asarray((116 * root - 16).reshape(rgb.shape[:2]))


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
    join_rows = _in_strips if compiled.passes is None or rgb.dtype != np.uint8 else _in_one_pass
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
    lookup = _root_of_grey(rgb.dtype)[None] if grey else _luma_of_levels(rgb.dtype)
    pixels = rgb[rows] if grey or rgb.strides[2] == 1 else np.ascontiguousarray(rgb[rows])
    first, weights = cubic_taps(len(rgb), step, wide.shape[1])
    compiled.passes.join(
        pixels, lookup, wide, first[rows], weights[rows], _top_from_scaled, _level_of_linear(), _numbers,
        out[rows],
    )  # fmt: skip


def _in_strips(rgb: Array, wide: Array, step: float, rows: slice, out: Array) -> None:
    """The same for pixels of any type."""
    down = cubic_weights(len(rgb), step, wide.shape[1])
    w = rgb.shape[1]
    high = max(1, STRIP // w)
    worker = _Worker(out, high * w)
    for top in range(rows.start, rows.stop, high):
        strip = slice(top, min(top + high, rows.stop))
        used = np.flatnonzero(down[strip].any(axis=0))
        near = slice(used[0], used[-1] + 1)  # of the coarse rows, the few that these rows lie between
        worker.join(rgb[strip], down[strip, near], wide[:, near], top * w)
    worker.settle()


class _Worker:
    """Joins strips of at most `size` pixels in buffers of its own: new memory would cost more than the sums.

    Pixels outside sRGB are collected until there are enough to be worth the calls.
    """

    def __init__(self, out: Array, size: int) -> None:
        self.out = out.reshape(-1, 3)
        self.most = max(size, STRIP)
        self.planes = np.empty((3, 3, self.most), np.float32)
        self.chroma = np.empty((2, self.most), np.float32)
        self.flags = np.empty((2, 3, self.most), bool)
        self.levels = np.empty((3, self.most), np.uint16)
        self.index = np.empty(self.most, np.intp)
        self.srgb = np.empty(self.most, np.uint8)
        self.outside: list[tuple[Array, Array, Array]] = []  # where; fy; fx - fy and fz - fy
        self.waiting = 0

    def join(self, rgb: Array, down: Array, wide: Array, offset: int) -> None:
        """Colour the rows `rgb`, whose first pixel is at `offset`."""
        n = rgb.shape[0] * rgb.shape[1]
        f = self.planes[0, :, :n]
        np.matmul(down, wide, out=f[::2].reshape(2, *rgb.shape[:2]))
        _root(rgb, f[1], self.planes[1, 0, :n], self.index[:n])
        f[::2] += f[1]
        outside = ~self._to_linear(n)
        if outside.any():
            where = np.flatnonzero(outside)
            self.outside.append((where + offset, f[1, where], f[::2, where] - f[1, where]))
            self.waiting += len(where)
        self._encode(n, self.out[offset : offset + n])
        if self.waiting >= STRIP:
            self.settle()

    def settle(self) -> None:
        """Give them the most colourful colours of their lightness and hue inside, as `lab_to_rgb` does.

        Chroma times 0 (grey) is inside, times 1 is outside, and bisection finds two between with the edge
        between them; from one to the other goes a line, up to where it leaves.
        """
        if not self.waiting:
            return
        parts = (np.concatenate(column, axis=-1) for column in zip(*self.outside, strict=True))
        all_where, all_root, all_shares = parts
        self.outside, self.waiting = [], 0
        for first in range(0, len(all_where), self.most):
            part = slice(first, first + self.most)
            where, root, shares = all_where[part], all_root[part], all_shares[:, part]
            n = len(where)
            f = self.planes[0, :, :n]
            f[1] = root
            kept, tried = self.chroma[:, :n]
            kept[:] = 0
            for k in range(1, GAMUT_STEPS + 1):
                np.add(kept, np.float32(2.0**-k), out=tried)
                np.multiply(shares, tried, out=f[::2])
                f[::2] += root
                np.copyto(kept, tried, where=self._to_linear(n))
            ends = []
            for factor in (kept + np.float32(2.0**-GAMUT_STEPS), kept):
                np.multiply(shares, factor, out=f[::2])
                f[::2] += root
                self._to_linear(n)
                ends.append(self.planes[2, :, :n].copy())
            outside, inside = ends
            way = outside - inside
            allowed = outside.clip(0, _TOP) - inside
            share = np.divide(allowed, way, out=np.ones_like(way), where=way != 0).min(axis=0).clip(0, 1)
            np.add(inside, share * way, out=self.planes[2, :, :n])
            fitted = np.empty((n, 3), self.out.dtype)
            self._encode(n, fitted)
            self.out[where] = fitted

    def _to_linear(self, n: int) -> Bool[Array, " {n}"]:
        """From n pixels of fx, fy, fz in the first planes to linear RGB in the last, 1 being `_TOP`.

        Returns:
            Which of them are inside sRGB.
        """
        f, cube, linear = self.planes[:, :, :n]
        flags, more = self.flags[:, :, :n]
        np.multiply(f, f, out=cube)
        cube *= f
        if np.less(f, KNEE, out=flags).any():
            np.subtract(f, np.float32(16 / 116), out=linear)
            linear *= np.float32(1 / SLOPE)
            np.copyto(cube, linear, where=flags)
        np.matmul(_top_from_scaled, cube, out=linear)
        np.greater_equal(linear, -GAMUT_SLACK * _TOP, out=flags)
        flags &= np.less_equal(linear, (1 + GAMUT_SLACK) * _TOP, out=more)
        flags[0] &= flags[1]
        inside: Array = flags[0]
        inside &= flags[2]
        return inside

    def _encode(self, n: int, out: Array) -> None:
        """Write n pixels of linear RGB as sRGB of the type of `out`."""
        linear = self.planes[2, :, :n]
        if out.dtype == np.uint8:
            levels, index = self.levels[:, :n], self.index[:n]
            with np.errstate(invalid="ignore"):  # what is outside is settled later
                np.copyto(levels, linear, casting="unsafe")
            for c in range(3):
                np.copyto(index, levels[c])
                out[:, c] = np.take(_level_of_linear(), index, mode="clip", out=self.srgb[:n])
            return
        x = (linear / np.float32(_TOP)).clip(0, 1)
        curve = 1.055 * np.maximum(x, 0.0031308) ** np.float32(1 / 2.4) - 0.055
        srgb = np.where(x > 0.0031308, curve, 12.92 * x).T
        out[:] = np.rint(srgb * np.iinfo(out.dtype).max) if out.dtype.kind == "u" else srgb


def _root(
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
            np.take(_root_of_grey(rgb.dtype), index, mode="clip", out=out)
            return
        tables = _luma_of_levels(rgb.dtype)
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
def _luma_of_levels(dtype: np.dtype[Any]) -> Float32[Array, "3 levels"]:
    """What each level of R, G and B adds to Y/Yn."""
    top = np.iinfo(dtype).max
    return np.asarray(_luma[:, None] * _srgb_to_linear(np.arange(top + 1) / top), np.float32)


@functools.cache
def _root_of_grey(dtype: np.dtype[Any]) -> Float32[Array, " levels"]:
    y = _luma.sum() * _srgb_to_linear(np.arange(np.iinfo(dtype).max + 1) / np.iinfo(dtype).max)
    return np.asarray(np.where(y > EPSILON, np.cbrt(y), SLOPE * y + 16 / 116), np.float32)


@functools.cache
def _level_of_linear() -> Shaped[Array, " 65536"]:
    """The 8-bit sRGB level of linear light, cut to whole numbers of which `_TOP` is 1."""
    x = np.minimum((np.arange(2**16) + 0.5) / _TOP, 1)
    curve = np.where(x > 0.0031308, 1.055 * x ** (1 / 2.4) - 0.055, 12.92 * x)
    return np.asarray(np.rint(255 * curve), np.uint8)
