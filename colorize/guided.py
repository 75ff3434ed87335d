"""From the coarse grid of the logits to the pixels that the network saw, not across edges of lightness."""

import torch
from jaxtyping import Float
from torch import Tensor

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
    rows, columns = (_Axis(n, stride, ab.device) for n in lightness.shape[2:])
    cells = torch.cat((rows.means @ lightness @ columns.means.T, ab), dim=1)
    wide = cells.index_select(3, columns.around.flatten())
    wide = wide.reshape(*cells.shape[:3], *columns.around.shape).movedim(3, 2)  # b 3 side h2 w
    near = wide.index_select(3, rows.around.flatten())  # b 3 side (side h) w
    near = near.reshape(*cells.shape[:2], -1, *lightness.shape[2:])
    in_place = (rows.nearness[:, :, None] * columns.nearness[:, None, None]).flatten(0, 1)
    apart = (near[:, 0] - lightness) / contrast
    apart = apart * apart
    weight = in_place * torch.exp((apart.amin(dim=1, keepdim=True) - apart) / 2)
    mean: Tensor = (near[:, 1:] * weight[:, None]).sum(dim=2) / weight.sum(dim=1, keepdim=True)
    return mean


class _Axis:
    """The cells along one side of a picture, in operations that the exporters have for sides not known yet.

    Attributes:
        means: takes pixels to the means of their cells.
        around: of each pixel the cells from REACH before its own to REACH behind it; beyond the border its
            cells go on.
        nearness: their weights, by distance alone.
    """

    def __init__(self, pixels: int | torch.SymInt, stride: int, device: torch.device) -> None:
        at = torch.arange(pixels, device=device)
        own, offset = at // stride, torch.arange(-REACH, REACH + 1, device=device)[:, None]
        cells = (pixels + stride - 1) // stride
        self.around = (own + offset).clamp(0, cells - 1)
        inside = (at % stride + 0.5) / stride - 0.5  # from the middle of the pixel's own cell, in cells
        self.nearness = torch.exp(-((inside - offset) ** 2) / (2 * SPREAD**2))
        member = (torch.arange(cells, device=device)[:, None] == own).float()
        self.means = member / member.sum(dim=1, keepdim=True)
