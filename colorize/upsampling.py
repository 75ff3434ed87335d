"""From the network's coarse ab to a picture's own size, tile by tile."""

import torch
from jaxtyping import Float
from torch import Tensor


def cubic_weights(pixels: slice, step: float, size: int) -> Float[Tensor, "n {size}"]:
    """How much each of `size` coarse pixels counts for some fine ones, `step` coarse pixels apart.

    Cubic convolution, widened where the fine grid is the coarser one, with pixels as areas: Pillow's bicubic,
    so that what `images.resize` took from a place comes back to it.

    Source: Keys 1981, a = -0.5.
    """
    center = (torch.arange(pixels.start, pixels.stop, dtype=torch.float64) + 0.5) * step - 0.5
    distance = (center[:, None] - torch.arange(size)).abs() / max(1.0, step)
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
    return weights / weights.sum(dim=1, keepdim=True)
