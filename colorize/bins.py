"""Bins of the ab plane: which there are, sparse soft encoding of colours into them, annealed-mean decoding.

A bin is a point of a regular grid; a colour is encoded as Gaussian weights on its nearest few bins, kept as
pairs (index, weight) and never as a Q-channel image.
"""

import functools
import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from colorize.color import rgb_to_lab
from colorize.nearest import AB_LIMIT, NearestBins

# The table of Zhang, Isola & Efros 2016 (their pts_in_hull): for a = -90, -80 .. 100, b from .. to in tens.
_ZHANG_B_RANGES = (
    (50, 90), (20, 90), (0, 90), (-20, 90), (-30, 100), (-40, 100), (-50, 100), (-50, 100), (-60, 100),
    (-70, 100), (-80, 90), (-80, 90), (-90, 90), (-100, 90), (-100, 80), (-110, 80), (-110, 80), (-110, 70),
    (-110, 70), (-90, 0),
)  # fmt: skip


def zhang313_centers() -> Float[Tensor, "313 2"]:
    """The authors' 313 bin centres at step 10, ordered by a, then b."""
    rows = ((a, b) for a, (low, high) in zip(range(-90, 101, 10), _ZHANG_B_RANGES, strict=True)
            for b in range(low, high + 1, 10))  # fmt: skip
    return torch.tensor(list(rows), dtype=torch.float32)


def srgb_centers(step: float = 10.0) -> Float[Tensor, "q 2"]:
    """Grid points nearest to some 8-bit sRGB colour, ordered by a, then b: 261 at step 10, 969 at step 5."""
    return _srgb_centers(float(step)).clone()


@functools.cache  # a second for all 16.8 million colours
def _srgb_centers(step: float) -> Tensor:
    _check_step(step)
    levels = torch.arange(256, dtype=torch.float32) / 255
    green, blue = torch.meshgrid(levels, levels, indexing="ij")
    used = torch.zeros(_grid_side(step) ** 2, dtype=torch.bool)
    for red in levels:  # 256 slices of 65,536 colours: 16.8 million at once would take 200 MB a temporary
        lab = rgb_to_lab(torch.stack((red.expand_as(green), green, blue)))
        used[grid_index(lab[1:], step)] = True
    return grid_centers(step)[used]


def grid_centers(step: float) -> Float[Tensor, "g 2"]:
    """All grid points within the ab limit, in the order of `grid_index`."""
    n = _grid_side(step) // 2
    axis = torch.arange(-n, n + 1, dtype=torch.float32) * step
    return torch.cartesian_prod(axis, axis)


def grid_index(ab: Float[Tensor, "*b 2 h w"], step: float) -> Int[Tensor, "*b h w"]:
    """Index into `grid_centers(step)` of the grid point nearest to each colour."""
    side = _grid_side(step)
    cell = (ab / step).round().long().clamp(-(side // 2), side // 2) + side // 2
    return cell.select(-3, 0) * side + cell.select(-3, 1)


class Bins(nn.Module):
    """A set of ab bins, ready to encode colours.

    Args:
        centers: ab of each bin.
        neighbours: k, the number of nearest bins that share a colour; 1 is hard assignment.
        sigma: standard deviation of the Gaussian weights, in ab units: 5 in the paper, 10 in its code.
        step: grid step, in ab units; it decides how fast encoding is, and no result.

    Raises:
        ValueError: if there are fewer bins than neighbours, or an argument is out of range.

    Source: Zhang, Isola & Efros 2016, section 2.1.
    """

    centers: Tensor

    def __init__(
        self, centers: Float[Tensor, "q 2"], neighbours: int = 5, sigma: float = 5.0, step: float = 10.0
    ) -> None:
        super().__init__()
        _check_step(step)
        if centers.ndim != 2 or centers.shape[1] != 2:
            raise ValueError(f"bin centers must have shape (q, 2), got {tuple(centers.shape)}")
        if not 1 <= neighbours <= len(centers):
            raise ValueError(f"neighbours must be in 1..{len(centers)}, the number of bins; got {neighbours}")
        if not sigma > 0:
            raise ValueError(f"sigma must be positive, got {sigma}")
        self.neighbours, self.sigma, self.step = neighbours, sigma, step
        self.register_buffer("centers", centers.float(), persistent=False)
        self._search: NearestBins | None = None

    def __len__(self) -> int:
        return len(self.centers)

    def soft_encode(
        self, ab: Float[Tensor, "b 2 h w"]
    ) -> tuple[Int[Tensor, "b k h w"], Float[Tensor, "b k h w"]]:
        """Encode colours as Gaussian weights on their k nearest bins, which are exact.

        Returns:
            Bin indices (int64), the nearest first, the others in no order; weights that sum to 1 over k.
        """
        index, squared = self._nearest_search(ab.device).find(ab, self.neighbours)
        # The nearest is taken off before exp: far from all bins every term would underflow to 0 / 0.
        squared[1:].sub_(squared[0]).mul_(-1 / (2 * self.sigma**2)).exp_()
        squared[0] = 1
        weight = squared.div_(squared.sum(dim=0))
        b, _, h, w = ab.shape
        k = self.neighbours
        return index.view(k, b, h, w).movedim(0, 1), weight.view(k, b, h, w).movedim(0, 1)

    def nearest(self, ab: Float[Tensor, "b 2 h w"]) -> Int[Tensor, "b h w"]:
        """Index (int64) of the nearest bin of each colour."""
        index, _ = self._nearest_search(ab.device).find(ab, 1)
        return index[0].view(ab.shape[0], *ab.shape[2:])

    def _nearest_search(self, device: torch.device) -> NearestBins:
        """The search tables on a device; made at the first use, since decoding never needs them."""
        if self._search is None:
            self._search = NearestBins(self.centers.cpu(), self.neighbours, self.step)
        if self._search.candidates.device != device:
            self._search.to(device)
        return self._search


def annealed_mean(
    logits: Float[Tensor, "b q h w"], centers: Float[Tensor, "q 2"], temperature: float
) -> Float[Tensor, "b 2 h w"]:
    """Decode logits to ab: the mean of the bin centres under softmax(logits / temperature).

    Args:
        logits: finite scores of the bins.
        centers: ab of the bins.
        temperature: 1 is the mean, 0 the mode (argmax); the paper uses 0.38.

    Raises:
        ValueError: if the temperature is negative or not finite, or bins and logits differ in number.

    Source: Zhang, Isola & Efros 2016, equation 5; log z / T equals logits / T up to a constant.
    """
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature must be 0 or more and finite, got {temperature}")
    if logits.shape[1] != len(centers):
        raise ValueError(f"got logits for {logits.shape[1]} bins but {len(centers)} bin centers")
    logits = logits.float()
    if temperature == 0:
        return centers[logits.argmax(dim=1)].movedim(-1, 1)
    # The largest is taken off before the division: at T = 1e-6 a logit of 1e4 would be at the end of float32.
    share = torch.softmax((logits - logits.amax(dim=1, keepdim=True)) / temperature, dim=1)
    return torch.einsum("bqhw,qc->bchw", share, centers.to(share))


def _grid_side(step: float) -> int:
    return 2 * math.ceil(AB_LIMIT / step) + 1


def _check_step(step: float) -> None:
    if not 0 < step <= AB_LIMIT:
        raise ValueError(f"the grid step must be in (0, {AB_LIMIT:g}] ab units, got {step}")
