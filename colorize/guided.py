"""From the coarse grid of the logits to the pixels that the network saw, not across edges of lightness."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

REACH = 2  # coarse cells either way
SPREAD = 0.7  # standard deviation over space, in coarse cells


def guided_upsample(
    ab: Float[Tensor, "b 2 h2 w2"], lightness: Float[Tensor, "b 1 h w"], stride: int, contrast: float
) -> Float[Tensor, "b 2 h w"]:
    """Each pixel's ab is the mean of the cells around it, weighted by nearness in place and in lightness.

    Args:
        ab: of cells of stride x stride pixels, the last row and column of which may reach beyond the picture.
        lightness: L* of the pixels.
        stride: side of a cell.
        contrast: standard deviation of the weights over lightness, in L units. Small ones keep colours apart
            at weaker edges.

    Raises:
        ValueError: if the contrast is not above 0.

    Source: Kopf et al. 2007, joint bilateral upsampling.
    """
    if not contrast > 0:
        raise ValueError(f"contrast must be above 0, got {contrast}")
    h, w = lightness.shape[2:]
    side = 2 * REACH + 1
    cells = torch.cat((functional.avg_pool2d(lightness, stride, ceil_mode=True), ab), dim=1)
    around = functional.pad(cells, [REACH] * 4, mode="replicate").unfold(2, side, 1).unfold(3, side, 1)
    rows, columns = (torch.arange(n, device=ab.device) for n in (h, w))
    near = around[:, :, rows // stride][:, :, :, columns // stride]  # b 3 h w side side
    in_place = _nearness(rows, stride)[:, None, :, None] * _nearness(columns, stride)[None, :, None, :]
    apart = (near[:, 0] - lightness[:, 0, :, :, None, None]) / contrast
    weight = in_place * torch.exp(-apart.square() / 2 + (apart.square() / 2).amin(dim=(-1, -2), keepdim=True))
    total = weight.sum(dim=(-1, -2))
    return (near[:, 1:] * weight[:, None]).sum(dim=(-1, -2)) / total[:, None]


def _nearness(pixels: Tensor, stride: int) -> Float[Tensor, "n side"]:
    """Weights of the cells from REACH before a pixel's own to REACH behind it, by distance alone."""
    inside = (pixels % stride + 0.5) / stride - 0.5  # from the middle of the pixel's own cell, in cells
    offset = torch.arange(-REACH, REACH + 1, device=pixels.device)
    return torch.exp(-((inside[:, None] - offset) ** 2) / (2 * SPREAD**2))
