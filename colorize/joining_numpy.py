"""Joining colours with lightness in numpy alone: for pixels of any type, and where nothing was compiled.

In strips whose temporaries stay in the processor's cache.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool

from colorize import srgb_tables
from colorize.cielab import GAMUT_SLACK, GAMUT_STEPS, KNEE, SLOPE
from colorize.srgb_tables import TOP
from colorize.upsampling import cubic_weights

STRIP = 50_000  # pixels at a time: they stay in a core's cache, and threads seldom wait for each other

Array = np.ndarray[Any, np.dtype[Any]]


def join_in_strips(rgb: Array, wide: Array, step: float, rows: slice, out: Array) -> None:
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
        self.whole = np.empty((3, self.most), np.uint16)
        self.index = np.empty(self.most, np.intp)
        self.srgb = np.empty(self.most, np.uint8)
        self.outside: list[tuple[Array, Array, Array]] = []  # where; fy; fx - fy and fz - fy
        self.waiting = 0

    def join(self, rgb: Array, down: Array, wide: Array, offset: int) -> None:
        """Colour the rows `rgb`, whose first pixel is at `offset`."""
        n = rgb.shape[0] * rgb.shape[1]
        f = self.planes[0, :, :n]
        np.matmul(down, wide, out=f[::2].reshape(2, *rgb.shape[:2]))
        srgb_tables.root(rgb, f[1], self.planes[1, 0, :n], self.index[:n])
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
            allowed = outside.clip(0, TOP) - inside
            share = np.divide(allowed, way, out=np.ones_like(way), where=way != 0).min(axis=0).clip(0, 1)
            np.add(inside, share * way, out=self.planes[2, :, :n])
            fitted = np.empty((n, 3), self.out.dtype)
            self._encode(n, fitted)
            self.out[where] = fitted

    def _to_linear(self, n: int) -> Bool[Array, " {n}"]:
        """From n pixels of fx, fy, fz in the first planes to linear RGB in the last, 1 being `TOP`.

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
        np.matmul(srgb_tables.top_from_scaled, cube, out=linear)
        np.greater_equal(linear, -GAMUT_SLACK * TOP, out=flags)
        flags &= np.less_equal(linear, (1 + GAMUT_SLACK) * TOP, out=more)
        flags[0] &= flags[1]
        inside: Array = flags[0]
        inside &= flags[2]
        return inside

    def _encode(self, n: int, out: Array) -> None:
        """Write n pixels of linear RGB as sRGB of the type of `out`."""
        linear = self.planes[2, :, :n]
        if out.dtype == np.uint8:
            whole, index = self.whole[:, :n], self.index[:n]
            with np.errstate(invalid="ignore"):  # what is outside is settled later
                np.copyto(whole, linear, casting="unsafe")
            for c in range(3):
                np.copyto(index, whole[c])
                out[:, c] = np.take(srgb_tables.level_of_linear(), index, mode="clip", out=self.srgb[:n])
            return
        x = (linear / np.float32(TOP)).clip(0, 1)
        curve = 1.055 * np.maximum(x, 0.0031308) ** np.float32(1 / 2.4) - 0.055
        srgb = np.where(x > 0.0031308, curve, 12.92 * x).T
        out[:] = np.rint(srgb * np.iinfo(out.dtype).max) if out.dtype.kind == "u" else srgb
