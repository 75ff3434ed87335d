"""Batches of windows: in which order photographs make an epoch, and windows of those that memory holds."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from colorize.data.held import HeldPhotos

POOL = 16  # blocks that are mixed with each other


class EpochOrder:
    """An epoch in batches, shuffled: at each iteration which photographs (b) make a batch and where their
    windows lie (b, 2), from the first batch of the epoch that was not shown.

    It counts what `advance` says was shown, since batches may be prepared that nobody comes to see. The order
    depends on the seed and the epoch alone, so that an epoch can be begun in its middle. Batch k of all ranks
    together is the k-th stretch of batch_size * world_size windows of the epoch; `rank` takes every
    world_size-th of them. An epoch has as many batches as are whole; the windows that are left over, fewer
    than one batch of all ranks, are not shown in this epoch. Where there are too few for a single one,
    batches are as much smaller.

    Args:
        photos: how many there are.
        batch_size: windows in a batch of one rank.
        repeats: windows of each photograph in an epoch.
        seed, epoch: of the order.
        rank, world_size: of this process among those that share the epoch.
        shown: batches of that epoch that are over already.
        block: 0 shuffles all photographs. Else it is a number of photographs: stretches of as many, in the
            order in which they lie on disk, are shuffled, and then the photographs within each 16 stretches,
            so that only these need to be read at a time.
        ahead: called with the photographs of the next 16 stretches, before they are needed.

    Raises:
        ValueError: if there are fewer windows than ranks.
    """

    def __init__(
        self,
        photos: int,
        batch_size: int,
        repeats: int = 1,
        seed: int = 0,
        epoch: int = 0,
        rank: int = 0,
        world_size: int = 1,
        shown: int = 0,
        block: int = 0,
        ahead: Callable[[Int[Tensor, " n"]], None] | None = None,
    ) -> None:
        if photos * repeats < world_size:
            raise ValueError(f"{photos} photographs to train on are too few for {world_size} processes")
        self.photos, self.repeats, self.seed, self.epoch = photos, repeats, seed, epoch
        self.batch_size = min(batch_size, photos * repeats // world_size)
        self.rank, self.world_size, self.shown, self.block, self.ahead = rank, world_size, shown, block, ahead

    def __len__(self) -> int:
        return self.photos * self.repeats // self.world_size // self.batch_size

    def __iter__(self) -> Iterator[tuple[Int[Tensor, " b"], Float[Tensor, "b 2"]]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        first = self.shown
        order = torch.cat([self._shuffled(generator) for _ in range(self.repeats)])
        position = torch.rand(len(order), 2, generator=generator)
        step = self.batch_size * self.world_size
        announced = first * step
        pool = self.block * POOL
        for start in range(first * step, len(self) * step, step):
            while self.ahead and pool and announced < min(start + step + pool, len(order)):
                self.ahead(order[announced : announced + pool])
                announced += pool
            mine = slice(start + self.rank, start + step, self.world_size)
            yield order[mine], position[mine]

    def advance(self) -> None:
        """One more batch was shown; after the last one the next epoch begins."""
        self.shown += 1
        if self.shown == len(self):
            self.epoch, self.shown = self.epoch + 1, 0

    def _shuffled(self, generator: torch.Generator) -> Int[Tensor, " n"]:
        if not self.block:
            return torch.randperm(self.photos, generator=generator)
        blocks = torch.split(torch.arange(self.photos), self.block)
        order = torch.cat([blocks[i] for i in torch.randperm(len(blocks), generator=generator).tolist()])
        pools = torch.split(order, self.block * POOL)
        return torch.cat([pool[torch.randperm(len(pool), generator=generator)] for pool in pools])


class HeldWindows:
    """Random windows of held photographs in uint8 batches (b, 3, side, side): an epoch at each iteration, or
    the rest of one that was given up.
    """

    def __init__(self, photos: HeldPhotos, order: EpochOrder, side: int) -> None:
        self.photos, self.order, self.side = photos, order, side

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[UInt8[Tensor, "b 3 side side"]]:
        for which, position in self.order:
            windows = self.photos.windows(which, position, self.side)
            self.order.advance()
            yield windows


class HeldSquares:
    """The middle squares of held photographs, in order, in uint8 batches (b, 3, side, side)."""

    def __init__(self, photos: HeldPhotos, batch_size: int, side: int) -> None:
        self.photos, self.side = photos, side
        self.batches = torch.split(torch.arange(len(photos)), batch_size)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[UInt8[Tensor, "b 3 side side"]]:
        return (self.photos.center_squares(which, self.side) for which in self.batches)
