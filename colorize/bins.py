"""Bins of the ab plane: which there are, sparse soft encoding of colours into them, annealed-mean decoding.

A bin is a point of a regular grid; a colour is encoded as Gaussian weights on its nearest few bins, kept as pairs
(index, weight) and never as a Q-channel image.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from colorize.color import rgb_to_lab

AB_LIMIT = 130.0  # |a| and |b| of every sRGB colour are below 109; colours beyond the limit are encoded as on it

# The table of Zhang, Isola & Efros 2016 (their pts_in_hull): for a = -90, -80 .. 100, b from .. to in tens.
_ZHANG_B_RANGES = (
    (50, 90), (20, 90), (0, 90), (-20, 90), (-30, 100), (-40, 100), (-50, 100), (-50, 100), (-60, 100), (-70, 100),
    (-80, 90), (-80, 90), (-90, 90), (-100, 90), (-100, 80), (-110, 80), (-110, 80), (-110, 70), (-110, 70), (-90, 0),
)  # fmt: skip


def zhang313_centers() -> Float[Tensor, "313 2"]:
    """The authors' 313 bin centres at step 10, ordered by a, then b."""
    rows = ((a, b) for a, (low, high) in zip(range(-90, 101, 10), _ZHANG_B_RANGES, strict=True)
            for b in range(low, high + 1, 10))  # fmt: skip
    return torch.tensor(list(rows), dtype=torch.float32)


def srgb_centers(step: float = 10.0) -> Float[Tensor, "q 2"]:
    """Grid points nearest to at least one 8-bit sRGB colour, ordered by a, then b: 261 at step 10, 969 at step 5."""
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
        centers: ab of each bin, shape (q, 2).
        neighbours: k, the number of nearest bins that share a colour; 1 is hard assignment.
        sigma: standard deviation of the Gaussian weights, in ab units. 5 in the paper, 10 in its authors' code.
        step: grid step, in ab units; only the side of the look-up cells depends on it, no result does.

    Raises:
        ValueError: if there are fewer bins than neighbours, or an argument is out of range.

    Source: Zhang, Isola & Efros 2016, section 2.1.
    """

    centers: Tensor
    _candidates: Tensor  # slots cells
    _candidate_ab: Tensor  # slots 2 cells

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
        self.neighbours = neighbours
        self.sigma = sigma
        self.cell = step / 2
        self.side = 2 * math.ceil(AB_LIMIT / self.cell)  # cells along an axis
        self.register_buffer("centers", centers.float(), persistent=False)
        table = _candidate_table(centers.double(), neighbours, self.cell, self.side)
        with_far_away = torch.cat((centers.float(), torch.full((1, 2), 1e6)))  # what fills short lists never wins
        self.register_buffer("_candidates", table, persistent=False)
        self.register_buffer("_candidate_ab", with_far_away[table].movedim(2, 1).contiguous(), persistent=False)

    def __len__(self) -> int:
        return len(self.centers)

    def soft_encode(
        self, ab: Float[Tensor, "b 2 h w"]
    ) -> tuple[Int[Tensor, "b k h w"], Float[Tensor, "b k h w"]]:
        """Encode colours as Gaussian weights on their k nearest bins.

        Returns:
            Bin indices (int64), nearest first, and their weights, which sum to 1 over k.

        The nearest bins are exact: a colour's 5x5 cell of the plane lists the few bins that can be among the k
        nearest of any point in it, and only their distances are computed.
        """
        keys, index_of = self._sorted_candidates(ab, self.neighbours)
        squared = [key.view(torch.float32) for key in keys]
        n, _, h, w = ab.shape
        index = torch.empty(n, self.neighbours, h * w, dtype=torch.int64, device=ab.device)
        weight = torch.empty(n, self.neighbours, h * w, device=ab.device)
        for j in range(self.neighbours):
            # The nearest distance is taken off before exp: far from all bins every term would underflow to 0 / 0.
            weight[:, j] = (squared[0] - squared[j]).mul_(1 / (2 * self.sigma**2)).exp_()
            index[:, j] = index_of(keys[j])
        weight /= weight.sum(dim=1, keepdim=True)
        return index.view(n, -1, h, w), weight.view(n, -1, h, w)

    def nearest(self, ab: Float[Tensor, "b 2 h w"]) -> Int[Tensor, "b h w"]:
        """Index of the nearest bin of each colour."""
        keys, index_of = self._sorted_candidates(ab, 1)
        return index_of(keys[0]).long().view(ab.shape[0], *ab.shape[2:])

    def _sorted_candidates(self, ab: Tensor, k: int) -> tuple[list[Tensor], Callable[[Tensor], Tensor]]:
        """The k nearest candidates of each colour, the nearest first, as keys (b, h w), and what turns a key into a bin.

        A key is the squared distance as float32 whose lowest bits carry the candidate's slot through the sort: the
        bits of a non-negative float order like an int. That settles ties and moves no distance by more than 2^-20 of
        itself. Planes of pixels and 1-D look-ups, one slot at a time, are what a CPU and a GPU both do fastest.
        """
        a, b = ab.float().clamp(-AB_LIMIT + 1e-3, AB_LIMIT - 1e-3).flatten(2).unbind(dim=1)
        half = self.side // 2
        cell = ((a / self.cell).floor_() * self.side + (b / self.cell).floor_() + half * (self.side + 1)).int()
        cell = cell.view(-1)
        slots, cells = self._candidates.shape
        slot_mask = (1 << (slots - 1).bit_length()) - 1
        keys = []
        for slot in range(slots):
            to_a, to_b = (x.index_select(0, cell).view_as(a) for x in self._candidate_ab[slot])
            squared = to_a.sub_(a).square_().addcmul_(to_b.sub_(b), to_b)
            keys.append(squared.view(torch.int32).bitwise_and_(~slot_mask).bitwise_or_(slot))
        _sort_smallest(keys, k)

        def index_of(key: Tensor) -> Tensor:
            flat = (key & slot_mask).mul_(cells).view(-1).add_(cell)
            return self._candidates.view(-1).index_select(0, flat).view_as(key)

        return keys[:k], index_of


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


def _sort_smallest(keys: list[Tensor], k: int) -> None:
    """Reorder `keys`, element by element, in place: the k smallest in front, the smallest of all first."""

    def order(i: int) -> None:
        lower = torch.minimum(keys[i], keys[i + 1])
        torch.maximum(keys[i], keys[i + 1], out=keys[i + 1])
        keys[i] = lower

    for end in range(len(keys) - 1, k - 1, -1):  # the largest of the rest to its end
        for i in range(end):
            order(i)
    for i in range(k - 2, -1, -1):
        order(i)


def _candidate_table(centers: Tensor, k: int, cell: float, side: int) -> Int[Tensor, "slots cells"]:
    """For each square cell of the ab plane the bins that are among the k nearest of some point of it.

    A bin is left out when k others are at least as near at all four corners: "nearer than" is a half-plane, so they
    are then as near in the whole cell. Short lists are filled up with q, one more than the last bin's index.
    """
    axis = (torch.arange(side, dtype=torch.float64) - side // 2) * cell
    corner_offsets = torch.tensor([[0.0, 0.0], [0.0, cell], [cell, 0.0], [cell, cell]], dtype=torch.float64)
    lists: list[Tensor] = []
    for a in axis:
        origins = torch.stack((a.expand(side), axis), dim=1)  # one row of cells: side 2
        to_middle = torch.cdist(origins + cell / 2, centers)
        ordered, order = to_middle.sort(dim=1, stable=True)
        # No point is further than half a diagonal from the middle, so none of its k nearest is beyond this reach.
        reach = ordered[:, k - 1 : k] + math.sqrt(2) * cell + 1e-9
        width = min(len(centers), max(int((ordered <= reach).sum(dim=1).max()), k) + 1)
        order = order[:, :width]
        corners = origins[:, None] + corner_offsets  # side 4 2
        distance = ((corners[:, :, None] - centers[order][:, None]) ** 2).sum(dim=-1)  # side 4 width
        nearer = (distance[:, :, :, None] <= distance[:, :, None, :] + 1e-9).all(dim=1)  # side width width
        strictly = (distance[:, :, :, None] < distance[:, :, None, :] - 1e-9).any(dim=1)
        earlier = torch.ones(width, width, dtype=torch.bool).triu(1)
        beaten_by = (nearer & (strictly | earlier)).sum(dim=1)  # side width
        # Kept bins first, in order of distance; the stable sort puts those left out behind them.
        keep = (beaten_by >= k).int().argsort(dim=1, stable=True)
        kept = (beaten_by < k).sum(dim=1)
        lists.extend(row[: int(n)] for row, n in zip(order.gather(1, keep), kept, strict=True))
    return nn.utils.rnn.pad_sequence(lists, padding_value=len(centers)).int()


def _grid_side(step: float) -> int:
    return 2 * math.ceil(AB_LIMIT / step) + 1


def _check_step(step: float) -> None:
    if not 0 < step <= AB_LIMIT:
        raise ValueError(f"the grid step must be in (0, {AB_LIMIT:g}] ab units, got {step}")
