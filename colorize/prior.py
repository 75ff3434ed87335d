"""How often each colour and each bin occurs in a set of photographs, and the rebalancing weights that follow.

Photographs of 8 bits have at most 2^24 colours. They are counted first, in one pass of constant memory that
costs little beside decoding; bins and prior then follow from the counts, each colour encoded once however
often it occurs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from colorize.bins import Bins, grid_centers, grid_index
from colorize.color import rgb_to_lab


@dataclass(frozen=True)
class Palette:
    """The colours of a set of photographs: each one's ab, and the number of pixels that have it."""

    ab: Float[Tensor, "n 2"]
    count: Int[Tensor, " n"]

    def chunks(self) -> Iterator[tuple[Float[Tensor, "1 2 1 _"], Int[Tensor, " _"]]]:
        """Some colours at a time, as a picture of one row, and their counts."""
        for ab, count in zip(*(torch.split(x, 2**18) for x in (self.ab, self.count)), strict=True):
            yield ab.T[None, :, None], count


def count_colors(rgb_batches: Iterable[UInt8[Tensor, "_ 3 _ _"]], gray_threshold: float = 5.0) -> Palette:
    """Count the colours of photographs, leaving out the grey ones (see `is_colored`).

    Holds 2^24 counters of 8 bytes, and as many more for the colours that occur.

    Args:
        rgb_batches: photographs in RGB, in batches of any size.
        gray_threshold: of `is_colored`, in ab units.
    """
    counts = np.zeros(2**24, np.int64)
    for rgb in rgb_batches:
        for photo in rgb[_colored(rgb, gray_threshold)].cpu().numpy():
            codes = np.zeros(photo[0].size, np.uint32)
            for channel, plane in enumerate(photo):
                codes.view(np.uint8)[channel::4] = plane.reshape(-1)
            np.add.at(counts, codes, 1)
    present = np.flatnonzero(counts)
    channels = np.stack([present.astype(np.uint32).view(np.uint8)[channel::4] for channel in range(3)])
    ab = [rgb_to_lab(rgb[None, :, None].float() / 255)[0, 1:, 0].T
          for rgb in torch.split(torch.from_numpy(channels), 2**18, dim=1)]  # fmt: skip
    return Palette(torch.cat(ab), torch.from_numpy(counts[present]))


def color_prior(palette: Palette, bins: Bins, smoothing: str = "gaussian") -> Float[Tensor, " q"]:
    """The share of each bin over all pixels of some photographs; sums to 1.

    Args:
        palette: their colours.
        bins: their encoder; its neighbours and sigma are the smoothing.
        smoothing: "gaussian" accumulates the soft encodings of all pixels, which is Zhang's Gaussian
            smoothing; "none" counts nearest bins, as the seed article does.

    Raises:
        ValueError: if there is no colour or `smoothing` has no such value.

    Source: Zhang, Isola & Efros 2016, section 2.2.
    """
    if smoothing not in ("gaussian", "none"):
        raise ValueError(f"smoothing must be 'gaussian' or 'none', got {smoothing!r}")
    mass = torch.zeros(len(bins), dtype=torch.float64)
    for ab, count in palette.chunks():
        if smoothing == "gaussian":
            index, weight = bins.soft_encode(ab)
            shares = weight.double() * count
            mass += torch.bincount(index.flatten(), shares.flatten(), minlength=len(bins))
        else:
            mass += torch.bincount(bins.nearest(ab).flatten(), count.double(), minlength=len(bins))
    if mass.sum() == 0:
        raise ValueError("the prior needs at least one photograph with colour; got none")
    return (mass / mass.sum()).float()


def used_grid_centers(palette: Palette, step: float) -> Float[Tensor, "q 2"]:
    """The grid points nearest to at least one colour of some photographs, ordered by a, then b.

    Raises:
        ValueError: if there is no colour.

    Source: the seed article's bins, which are those of its data set.
    """
    centers = grid_centers(step)
    used = torch.zeros(len(centers), dtype=torch.bool)
    for ab, _ in palette.chunks():
        used[grid_index(ab, step).flatten()] = True
    if not used.any():
        raise ValueError("bins of the data need at least one photograph with colour; got none")
    return centers[used]


def rebalancing_weights(prior: Float[Tensor, " q"], lambda_: float = 0.5) -> Float[Tensor, " q"]:
    """Class-rebalancing weights w, proportional to 1 / ((1 - lambda) prior + lambda / Q), with sum prior * w
    = 1.

    Args:
        prior: shares that sum to 1.
        lambda_: share of the uniform distribution, over the bins that occur at all. 1 gives w = 1 everywhere,
            0 the plain inverse of the prior, 0.5 is the paper's.

    Returns:
        Finite weights. A bin that does not occur weighs as much as the rarest one that does.

    Raises:
        ValueError: if lambda is outside [0, 1] or the prior is no distribution.

    Source: Zhang, Isola & Efros 2016, equation 4.
    """
    if not 0 <= lambda_ <= 1:
        raise ValueError(f"lambda must be in [0, 1], got {lambda_}")
    if not (prior >= 0).all() or not torch.isclose(
        prior.double().sum(), torch.tensor(1.0).double(), atol=1e-4
    ):
        raise ValueError("the prior must be non-negative and sum to 1")
    share = prior.double()
    occurs = share > 0
    mixed = (1 - lambda_) * share + lambda_ / occurs.sum()
    mixed = torch.where(occurs, mixed, mixed[occurs].min())
    weights = 1 / mixed
    return (weights / (share * weights).sum()).to(prior.dtype)


def is_colored(lab: Float[Tensor, "b 3 h w"], threshold: float = 5.0) -> Float[Tensor, " b"]:
    """1 for a photograph with a pixel of |a| or |b| above the threshold, 0 for a grey one.

    Source: the authors' training layers (NonGrayMask).
    """
    return (lab[:, 1:].abs().flatten(1).amax(dim=1) > threshold).to(lab.dtype)


def _colored(rgb: UInt8[Tensor, "b 3 h w"], threshold: float) -> Tensor:
    """Which photographs are coloured: most of them by one pixel in 64, the others by a look at all."""
    colored = is_colored(rgb_to_lab(rgb[:, :, ::8, ::8].float() / 255), threshold) > 0
    if not colored.all():
        colored[~colored] = is_colored(rgb_to_lab(rgb[~colored].float() / 255), threshold) > 0
    return colored
