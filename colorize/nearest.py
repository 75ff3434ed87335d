"""Exact nearest bins of many colours, from a table of the few candidates in each square cell of the ab plane.

For 5 neighbours among the points of a regular grid a cell has at most 8 candidates, however many bins there
are, so that only their distances are computed, instead of Q or a walk down a tree for each pixel. Where the
grid around a colour has no holes, which is nearly everywhere, which 5 are nearest is known but for one.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

AB_LIMIT = 130.0  # |a| and |b| of sRGB are below 109; colours beyond the limit are taken as on it
CELLS_PER_STEP = 2  # finer cells have fewer candidates and larger tables; 2 are the quarters around a point

# In grid steps from the grid point nearest to a colour, towards the colour.
SURROUNDING = ((0, 0), (1, 0), (0, 1), (1, 1), (-1, 0), (0, -1))


class NearestBins:
    """Finds the nearest of some bins for whole pictures of colours.

    Args:
        centers: ab of the bins.
        neighbours: the largest k that will be asked for.
        step: grid step of the bins, in ab units; the cells' size follows it, no result does.
    """

    def __init__(self, centers: Float[Tensor, "q 2"], neighbours: int, step: float) -> None:
        self.step, self.cell = step, step / CELLS_PER_STEP
        self.side = 2 * math.ceil(AB_LIMIT / self.cell)  # cells along an axis
        far_away = torch.full((1, 2), 1e6)  # what fills short lists never wins
        self.candidates = candidate_table(centers.double(), neighbours, self.cell, self.side)
        self.candidate_ab = torch.cat((centers.float(), far_away))[self.candidates].movedim(2, 1).contiguous()
        self.around = surrounding_table(centers.double(), step, self.side)
        self.slots = torch.arange(3, dtype=torch.int32)[:, None]  # of an int32 tensor: a number is converted
        self.no_slot = torch.tensor(~3, dtype=torch.int32)  # anew each time

    def to(self, device: torch.device) -> "NearestBins":
        """Move the tables."""
        self.candidates, self.candidate_ab = self.candidates.to(device), self.candidate_ab.to(device)
        return self

    def find(self, ab: Float[Tensor, "b 2 h w"], k: int) -> tuple[Int[Tensor, "k n"], Float[Tensor, "k n"]]:
        """The k nearest bins (int64) of each of the n = b h w colours, the very nearest in front, and their
        squared distances.
        """
        colors = ab.movedim(1, 0).flatten(1).float().clamp(-AB_LIMIT + 1e-3, AB_LIMIT - 1e-3)
        row, column = (colors / self.cell).floor_()
        cell = row.mul_(self.side).add_(column).add_(self.side // 2 * (self.side + 1)).int()
        if k != 5 or ab.device.type != "cpu":  # a GPU would have to wait for the number of `others`
            return self._among_candidates(colors, cell, k)
        index, squared = self._among_surrounding(colors, cell)
        others = (index[0] < 0).nonzero()[:, 0]
        if len(others):
            index[:, others], squared[:, others] = self._among_candidates(colors[:, others], cell[others], k)
        return index, squared

    def _among_candidates(
        self, colors: Float[Tensor, "2 n"], cell: Int[Tensor, " n"], k: int
    ) -> tuple[Int[Tensor, "k n"], Float[Tensor, "k n"]]:
        """The k nearest candidates of the cells.

        Distances are sorted as integers: the bits of a non-negative float order like an int. The lowest few
        carry the candidate's slot through the sort, which settles ties and moves no distance by more than
        2^-20 of itself. Planes of pixels and one-dimensional look-ups, one slot at a time, into memory that
        is taken once, are what a CPU and a GPU both do fastest.
        """
        a, b = colors
        slots = len(self.candidates)
        slot_mask = (1 << (slots - 1).bit_length()) - 1
        squared = torch.empty(slots + 1, len(cell), device=cell.device)
        keys, spare = list(squared[:-1].view(torch.int32)), squared[-1]
        for slot, (candidate_a, candidate_b) in enumerate(self.candidate_ab):
            to_a = torch.index_select(candidate_a, 0, cell, out=squared[slot]).sub_(a).square_()
            to_b = torch.index_select(candidate_b, 0, cell, out=spare).sub_(b)
            to_a.addcmul_(to_b, to_b)
            keys[slot].bitwise_and_(~slot_mask).bitwise_or_(slot)
        _smallest_to_front(keys, k, spare.view(torch.int32))
        index = torch.empty(k, len(cell), dtype=torch.int64, device=cell.device)
        bins, cells = self.candidates.view(-1), self.candidates.shape[1]
        for key, out in zip(keys, index, strict=False):
            torch.index_select(bins, 0, (key & slot_mask).mul_(cells).add_(cell), out=out)
        return index, torch.stack(keys[:k]).view(torch.float32)

    def _among_surrounding(
        self, colors: Float[Tensor, "2 n"], cell: Int[Tensor, " n"]
    ) -> tuple[Int[Tensor, "5 n"], Float[Tensor, "5 n"]]:
        """The 5 nearest grid points, where all of `SURROUNDING` are bins; elsewhere all indices are -1.

        The first is the nearest and the first three are always among the 5, so that only the furthest of the
        others has to be found, again by the bits of the distances.
        """
        points = (colors * (1 / self.step)).round_()  # fmod would take ten times as long
        away = colors.sub(points, alpha=self.step).abs_()
        square = {d: (away - d * self.step).square_() for d in (0, 1, -1)}
        squared = torch.empty(len(SURROUNDING), len(cell))
        for (to_a, to_b), out in zip(SURROUNDING, squared, strict=True):
            torch.add(square[to_a][0], square[to_b][1], out=out)
        keys = squared[3:].view(torch.int32).bitwise_and_(self.no_slot).bitwise_or_(self.slots)
        higher = torch.maximum(keys[0], keys[1])
        torch.minimum(keys[0], keys[1], out=keys[0])
        torch.minimum(higher, keys[2], out=keys[1])
        places = (keys[:2] & ~self.no_slot).mul_(self.around.shape[1]).add_(cell)
        index = torch.empty(5, len(cell), dtype=torch.int64)
        for table, out in zip(self.around[:3], index, strict=False):
            torch.index_select(table, 0, cell, out=out)
        for place, out in zip(places, index[3:], strict=True):
            torch.index_select(self.around[3:].view(-1), 0, place, out=out)
        return index, squared[:5]


def surrounding_table(centers: Float[Tensor, "q 2"], step: float, side: int) -> Int[Tensor, "6 cells"]:
    """For each cell the bins at `SURROUNDING`; -1 for all six if one is missing, and everywhere if some bins
    are no points of the grid, or the same one.

    The 5 nearest points of a full grid are always among these: let u and v, both in [0, 1/2], be how far a
    colour lies from the nearest point, in steps. No other point is nearer than any of these, and (0, 0),
    (1, 0) and (0, 1) are nearer than (1, 1), (-1, 0) and (0, -1), or as near.
    """
    count = math.ceil(AB_LIMIT / step) + 2  # grid points on each side of 0
    bin_at = torch.full((2 * count + 1, 2 * count + 1), -1)
    place = (centers / step).round()
    on_grid = ((place * step - centers).abs().amax(dim=1) < 1e-6 * step) & (place.abs().amax(dim=1) <= count)
    if on_grid.all() and len(torch.unique(place, dim=0)) == len(place):
        bin_at[tuple(place.long().T + count)] = torch.arange(len(centers))
    cell = torch.arange(side) - side // 2
    nearest = (cell + 1).div(CELLS_PER_STEP, rounding_mode="floor") + count
    towards = 1 - 2 * (cell % CELLS_PER_STEP)  # of the colour from the nearest point
    table = torch.stack(
        [bin_at[(nearest + to_a * towards)[:, None], nearest + to_b * towards] for to_a, to_b in SURROUNDING]
    ).flatten(1)
    return torch.where((table < 0).any(dim=0), -1, table)


def candidate_table(
    centers: Float[Tensor, "q 2"], k: int, cell: float, side: int
) -> Int[Tensor, "slots cells"]:
    """For each square cell of the ab plane the bins that are among the k nearest of some point of it.

    A bin is left out when k others are at least as near at all four corners: "nearer than" is a half-plane,
    so they are then as near in the whole cell. Short lists are filled up with q, one more than the last bin.

    Args:
        centers: ab of the bins, in float64.
        k: neighbours.
        cell: side of a cell, in ab units.
        side: cells along an axis, centred on a = b = 0.
    """
    axis = (torch.arange(side, dtype=torch.float64) - side // 2) * cell
    corner_offsets = torch.cartesian_prod(*2 * [torch.tensor([0.0, cell], dtype=torch.float64)])
    lists: list[Tensor] = []
    for a in axis:
        origins = torch.stack((a.expand(side), axis), dim=1)  # one row of cells: side 2
        ordered, order = torch.cdist(origins + cell / 2, centers).sort(dim=1, stable=True)
        # No point is further than half a diagonal from the middle: its k nearest are within this reach.
        reach = ordered[:, k - 1 : k] + math.sqrt(2) * cell + 1e-9
        order = order[:, : int((ordered <= reach).sum(dim=1).max())]
        corners = origins[:, None] + corner_offsets  # side 4 2
        distance = ((corners[:, :, None] - centers[order][:, None]) ** 2).sum(dim=-1)  # side 4 width
        nearer = (distance[:, :, :, None] <= distance[:, :, None, :] + 1e-9).all(dim=1)  # side width width
        strictly = (distance[:, :, :, None] < distance[:, :, None, :] - 1e-9).any(dim=1)
        earlier = torch.ones_like(nearer[0]).triu(1)  # of two that are always as near, the first counts
        beaten_by = (nearer & (strictly | earlier)).sum(dim=1)  # side width
        lists.extend(row[beaten < k] for row, beaten in zip(order, beaten_by, strict=True))
    return torch.nn.utils.rnn.pad_sequence(lists, padding_value=len(centers))


def _smallest_to_front(keys: list[Tensor], k: int, spare: Tensor) -> None:
    """Reorder `keys`, element by element: the k smallest in front, the smallest of all first. `spare` is a
    plane of scratch memory; which plane of memory holds which key changes.
    """

    def order(i: int) -> None:
        nonlocal spare
        torch.minimum(keys[i], keys[i + 1], out=spare)
        torch.maximum(keys[i], keys[i + 1], out=keys[i + 1])
        keys[i], spare = spare, keys[i]

    for end in range(len(keys) - 1, k - 1, -1):  # the largest of the rest to its end
        for i in range(end):
            order(i)
    for i in range(k - 2, -1, -1):
        order(i)
