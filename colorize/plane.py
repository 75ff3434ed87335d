"""The ab plane as a picture: quantities of bins drawn in the bins' true colours."""

import torch
from jaxtyping import Float
from torch import Tensor

from colorize.color import lab_to_rgb


def draw_bins(
    centers: Float[Tensor, "q 2"],
    values: Float[Tensor, " q"],
    step: float,
    side: int = 480,
    lightness: float = 65.0,
) -> Float[Tensor, "3 side side"]:
    """Draw each bin as a disc whose area grows with its value, on a grey ground with the a and b axes.

    Args:
        centers: ab of the bins; a to the right, b upwards.
        values: non-negative; the largest fills its grid cell, the least that is not 0 is still a dot.
        step: grid step, in ab units.
        side: of the picture, in pixels.
        lightness: L* of the colours shown, brought inside sRGB at constant hue.

    Returns:
        RGB in [0, 1].
    """
    limit = float(centers.abs().max()) + step
    axis = (torch.arange(side) + 0.5) / side * 2 * limit - limit
    b, a = torch.meshgrid(-axis, axis, indexing="ij")
    picture = torch.full((3, side, side), 0.93)
    line = limit / side * 1.5
    picture[:, (a.abs() < line) | (b.abs() < line)] = 0.8
    pixels = torch.stack((a, b), dim=-1).view(-1, 2)
    distance, nearest = torch.cdist(pixels, centers.float().cpu()).min(dim=1)
    share = values.float().cpu() / values.max().cpu()
    radius = (share.sqrt() * step / 2).clamp(min=0.07 * step) * (share > 0)
    inside = distance <= radius[nearest]
    lab = torch.cat((torch.full((1, len(centers)), lightness), centers.float().cpu().T)).unsqueeze(
        -1
    )  # 3 q 1
    colors = lab_to_rgb(lab)[:, :, 0]
    flat = picture.view(3, -1)
    flat[:, inside] = colors[:, nearest[inside]]
    return picture


def draw_shares(
    centers: Float[Tensor, "q 2"], prior: Float[Tensor, " q"], step: float
) -> Float[Tensor, "3 side side"]:
    """Draw a prior: its decades in one picture, since shares differ by five of them."""
    decades = (prior / prior[prior > 0].min()).clamp(min=1).log() * (prior > 0)
    return draw_bins(centers, decades, step)
