"""How often each bin occurs in a set of photographs, and the rebalancing weights that follow from it."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from colorize.bins import Bins, grid_centers, grid_index
from colorize.color import rgb_to_lab


def color_prior(
    lab_batches: Iterable[Float[Tensor, "_ 3 _ _"]], bins: Bins, smoothing: str = "gaussian"
) -> Float[Tensor, " q"]:
    """The share of each bin over all pixels of some photographs; sums to 1.

    Args:
        lab_batches: photographs in Lab, in batches of any size.
        bins: their encoder; its neighbours and sigma are the smoothing.
        smoothing: "gaussian" accumulates the soft encodings of all pixels, which is Zhang's Gaussian
            smoothing; "none" counts nearest bins, as the seed article does.

    Raises:
        ValueError: if there is no pixel or `smoothing` has no such value.

    Source: Zhang, Isola & Efros 2016, section 2.2.
    """
    if smoothing not in ("gaussian", "none"):
        raise ValueError(f"smoothing must be 'gaussian' or 'none', got {smoothing!r}")
    mass = torch.zeros(len(bins), dtype=torch.float64, device=bins.centers.device)
    for lab in lab_batches:
        ab = lab[:, 1:]
        if smoothing == "gaussian":
            index, weight = bins.soft_encode(ab)
            mass += torch.bincount(index.flatten(), weight.double().flatten(), minlength=len(bins))
        else:
            mass += torch.bincount(bins.nearest(ab).flatten(), minlength=len(bins))
    if mass.sum() == 0:
        raise ValueError("the prior needs at least one photograph with colour; got none")
    return (mass / mass.sum()).float()


def used_grid_centers(lab_batches: Iterable[Float[Tensor, "_ 3 _ _"]], step: float) -> Float[Tensor, "q 2"]:
    """The grid points nearest to at least one pixel of some photographs, ordered by a, then b.

    Raises:
        ValueError: if there is no pixel.

    Source: the seed article's bins, which are those of its data set.
    """
    centers = grid_centers(step)
    used = torch.zeros(len(centers), dtype=torch.bool)
    for lab in lab_batches:
        used[grid_index(lab[:, 1:], step).flatten().cpu()] = True
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


def batches_to_lab(rgb_batches: Iterable[Tensor], threshold: float = 5.0) -> Iterable[Tensor]:
    """uint8 RGB batches (b, 3, h, w) to Lab, without their grey photographs (see `is_colored`)."""
    for rgb in rgb_batches:
        lab = rgb_to_lab(rgb.float() / 255)
        colored = lab[is_colored(lab, threshold) > 0]
        if len(colored):
            yield colored
