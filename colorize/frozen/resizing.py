"""`images.resize` and `upsampling.cubic_weights` as operations on tensors whose sizes are known only when a
graph runs.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from colorize.images.pixels import BOX_TO_PIXEL, MAX_ASPECT

Size = int | torch.SymInt
"""Known, or known only when the graph runs."""

_PILLOW_BITS = 22  # behind the point of its weights; float64 holds their sums exactly


def resize(rgb: Float[Tensor, "b 3 h w"], size: int) -> tuple[Float[Tensor, "b 3 i j"], Float[Tensor, "2"]]:
    """Pictures at the size at which the network sees them, as whole 8-bit levels, and its two sides.

    The last bit counts, as one level more or less in a small picture shows in the colours: box means first
    where the picture is many times as large, then Pillow's bicubic, rounded after each axis.
    """
    h, w = rgb.shape[-2:]
    sides = small_sides(h, w, size)
    h2, w2 = (_size(side) for side in sides.long())
    for side in (h2, w2):
        torch._check(side >= size)
        torch._check(side <= size * MAX_ASPECT)
    shape = torch.stack([torch.scalar_tensor(side, dtype=torch.int64) for side in (h, w)])
    box = ((shape // sides.long()).amin(dim=0) // BOX_TO_PIXEL).clamp(min=1)
    levels = _box_means((rgb * 255).round(), box).double()
    # Pillow takes the box that it resizes as float32.
    steps = (shape.double() / box).float().double() / sides
    levels = _to_levels(levels @ _pillow_weights(w2, levels.shape[3], steps[1]).T)
    return _to_levels(_pillow_weights(h2, levels.shape[2], steps[0]) @ levels).float(), sides


def small_sides(h: Size, w: Size, size: int) -> Float[Tensor, "2"]:
    """Height and width at which the network sees a picture, as whole numbers."""
    # In float64, as Python computes: at a tie the last bit decides.
    sides = torch.stack([torch.scalar_tensor(side, dtype=torch.float64) for side in (h, w)])
    return (sides * (size / sides.amin(dim=0))).round().clamp(max=size * MAX_ASPECT)


def cubic_weights(
    n: Size, size: Size, step: Float[Tensor, ""], top: Int[Tensor, ""] | int = 0
) -> Float[Tensor, "n size"]:
    """`upsampling.cubic_weights`, in float64, of n pixels from `top` on."""
    center = (torch.arange(n, dtype=torch.float64) + top + 0.5) * step - 0.5
    distance = (center[:, None] - torch.arange(size)).abs() / step.clamp(min=1.0)
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
    return weights / weights.sum(dim=1, keepdim=True)


def _box_means(levels: Float[Tensor, "b 3 h w"], box: Int[Tensor, ""]) -> Float[Tensor, "b 3 i j"]:
    """Means of squares, those at the bottom and at the right of what is there.

    As Pillow's `reduce`: sums, times a reciprocal of 24 bits.
    """
    b, c, h, w = levels.shape
    side = _size(box)
    torch._check(side >= 1)
    down, right = (h + side - 1) // side, (w + side - 1) // side
    beyond: list[Any] = [0, right * side - w, 0, down * side - h]
    padded = torch.nn.functional.pad(levels, beyond)
    sums = padded.reshape(b, c, down, side, right * side).sum(dim=3)
    sums = sums.reshape(b, c, down, right, side).sum(dim=4)  # whole numbers below 2^24
    high, wide = (
        torch.minimum(box, n - box * torch.arange(count)).double() for n, count in ((h, down), (w, right))
    )
    count = high[:, None] * wide
    return ((sums + (count / 2).floor()) * (2.0**24 / count).floor() / 2**24).floor()


def _size(value: Int[Tensor, ""]) -> Size:
    size = value.item()
    assert not isinstance(size, float)
    return size


def _pillow_weights(n: Size, size: Size, step: Float[Tensor, ""]) -> Float[Tensor, "n size"]:
    """Whole numbers, as Pillow has them."""
    weights: Tensor = cubic_weights(n, size, step) * 2**_PILLOW_BITS
    return weights.round()


def _to_levels(sums: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    levels: Tensor = sums / 2**_PILLOW_BITS + 0.5
    return levels.floor().clamp(0, 255)
