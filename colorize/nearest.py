"""Exact nearest bins of many colours, from a table of the few candidates in each square cell of the ab plane.

For 5 neighbours among the points of a regular grid a cell has at most 8 candidates, however many bins there
are, so that only their distances are computed, instead of Q or a walk down a tree for each pixel.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

AB_LIMIT = (
    130.0  # |a| and |b| of every sRGB colour are below 109; colours beyond the limit are taken as on it
)
CELLS_PER_STEP = 2  # finer cells have fewer candidates and larger tables


class NearestBins:
    """Finds the nearest of some bins for whole pictures of colours.

    Args:
        centers: ab of the bins.
        neighbours: the largest k that will be asked for.
        step: grid step of the bins, in ab units; the cells' size follows it, no result does.
    """

    def __init__(self, centers: Float[Tensor, "q 2"], neighbours: int, step: float) -> None:
        self.cell = step / CELLS_PER_STEP
        self.side = 2 * math.ceil(AB_LIMIT / self.cell)  # cells along an axis
        table = candidate_table(centers.double(), neighbours, self.cell, self.side)
        far_away = torch.full((1, 2), 1e6)  # what fills short lists never wins
        self.candidates = table
        self.candidate_ab = torch.cat((centers.float(), far_away))[table].movedim(2, 1).contiguous()

    def to(self, device: torch.device) -> "NearestBins":
        """Move the tables."""
        self.candidates, self.candidate_ab = self.candidates.to(device), self.candidate_ab.to(device)
        return self

    def find(
        self, ab: Float[Tensor, "b 2 h w"], k: int
    ) -> tuple[list[Int[Tensor, "b hw"]], list[Float[Tensor, "b hw"]]]:
        """The k nearest bins of each colour, the very nearest in front, and their squared distances.

        Distances are sorted as integers: the bits of a non-negative float order like an int. The lowest few
        carry the candidate's slot through the sort, which settles ties and moves no distance by more than
        2^-20 of itself. Planes of pixels and one-dimensional look-ups, one slot at a time, are what a CPU and
        a GPU both do fastest.
        """
        a, b = ab.float().clamp(-AB_LIMIT + 1e-3, AB_LIMIT - 1e-3).flatten(2).unbind(dim=1)
        middle = self.side // 2 * (self.side + 1)
        cell = (a / self.cell).floor_().mul_(self.side).add_((b / self.cell).floor_()).add_(middle)
        cell = cell.int().view(-1)
        slots, cells = self.candidates.shape
        slot_mask = (1 << (slots - 1).bit_length()) - 1
        keys = []
        for slot in range(slots):
            to_a, to_b = (x.index_select(0, cell).view_as(a) for x in self.candidate_ab[slot])
            squared = to_a.sub_(a).square_().addcmul_(to_b.sub_(b), to_b)
            keys.append(squared.view(torch.int32).bitwise_and_(~slot_mask).bitwise_or_(slot))
        _smallest_to_front(keys, k)
        flat = self.candidates.view(-1)
        cell = cell.view_as(a)
        places = [(key & slot_mask).mul_(cells).add_(cell).view(-1) for key in keys[:k]]
        index = [flat.index_select(0, place).view_as(a) for place in places]
        return index, [key.view(torch.float32) for key in keys[:k]]


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
    return torch.nn.utils.rnn.pad_sequence(lists, padding_value=len(centers)).int()


def _smallest_to_front(keys: list[Tensor], k: int) -> None:
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
