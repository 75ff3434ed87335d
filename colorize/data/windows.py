"""Photographs held in memory, and square windows of them, batch by batch."""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor


class HeldPhotos:
    """Decoded photographs of any sizes in one uint8 tensor, in RAM or on the device, cut by one gather a
    batch.
    """

    def __init__(self, photos: Iterable[UInt8[Tensor, "3 _ _"]]) -> None:
        # A bytearray grows in place (the kernel moves pages, not bytes): no photograph is there twice.
        joined, sizes = bytearray(), []
        for photo in photos:
            joined += photo.contiguous().flatten().numpy().data
            sizes.append(photo.shape[1:])
        if not sizes:
            raise ValueError("there are no photographs to hold")
        self.pixels = torch.frombuffer(
            joined, dtype=torch.uint8
        )  # of each photograph 3 h w, one behind the other
        self.sizes = torch.tensor(sizes)  # photos (h, w)
        areas = self.sizes.prod(dim=1)
        self.starts = 3 * (areas.cumsum(0) - areas)

    def __len__(self) -> int:
        return len(self.sizes)

    def to(self, device: torch.device | str) -> "HeldPhotos":
        """Move the pixels; the small tables of sizes stay where random numbers are drawn, on the host."""
        self.pixels = self.pixels.to(device)
        return self

    def cut(
        self, which: Int[Tensor, " b"], top: Int[Tensor, " b"], left: Int[Tensor, " b"], side: int
    ) -> UInt8[Tensor, "b 3 side side"]:
        """Windows of photographs `which` from (top, left), mirrored beyond a photograph's border."""
        height, width = self.sizes[which].unbind(dim=1)
        along = torch.arange(side)
        rows = _mirror(top[:, None] + along, height[:, None])
        columns = _mirror(left[:, None] + along, width[:, None])
        planes = self.starts[which][:, None] + torch.arange(3) * (height * width)[:, None]  # b 3
        row_starts = planes[:, :, None] + (rows * width[:, None])[:, None]  # b 3 side
        row_starts, columns = (x.to(self.pixels.device, non_blocking=True) for x in (row_starts, columns))
        return self.pixels[row_starts[..., None] + columns[:, None, None]]

    def windows(
        self, which: Int[Tensor, " b"], position: Float[Tensor, "b 2"], side: int
    ) -> UInt8[Tensor, "b 3 side side"]:
        """Windows at a `position` in [0, 1) of the room that each photograph leaves them along (y, x)."""
        room = (self.sizes[which] - side + 1).float()
        corner = torch.floor(position * room.clamp(min=1) + (room.clamp(max=1) - 1) / 2).long()
        return self.cut(which, corner[:, 0], corner[:, 1], side)

    def center_squares(self, which: Int[Tensor, " b"], side: int) -> UInt8[Tensor, "b 3 side side"]:
        """The middle of photographs, for validation."""
        offset = (self.sizes[which] - side).div(2, rounding_mode="floor")
        return self.cut(which, offset[:, 0], offset[:, 1], side)


class EpochOrder:
    """One epoch at each iteration, shuffled: which photographs (b) make a batch, where their windows lie (b,
    2).

    Both depend on the seed and the epoch alone. `rank` of `world_size` takes every world_size-th one.
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
    ) -> None:
        self.photos, self.batch_size, self.repeats = photos, batch_size, repeats
        self.seed, self.epoch, self.rank, self.world_size = seed, epoch, rank, world_size

    def __len__(self) -> int:
        return max(1, self.photos * self.repeats // self.world_size // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Int[Tensor, " b"], Float[Tensor, "b 2"]]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        self.epoch += 1
        order = torch.cat([torch.randperm(self.photos, generator=generator) for _ in range(self.repeats)])
        position = torch.rand(len(order), 2, generator=generator)
        mine = torch.arange(self.rank, len(order), self.world_size)
        for batch in torch.split(mine, self.batch_size)[: len(self)]:
            yield order[batch], position[batch]


class HeldWindows:
    """Random windows of held photographs in uint8 batches (b, 3, side, side), an epoch at each iteration."""

    def __init__(self, photos: HeldPhotos, order: EpochOrder, side: int) -> None:
        self.photos, self.order, self.side = photos, order, side

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[UInt8[Tensor, "b 3 side side"]]:
        for which, position in self.order:
            yield self.photos.windows(which, position, self.side)


class HeldSquares:
    """The middle squares of held photographs, in order, in uint8 batches (b, 3, side, side)."""

    def __init__(self, photos: HeldPhotos, batch_size: int, side: int) -> None:
        self.photos, self.side = photos, side
        self.batches = torch.split(torch.arange(len(photos)), batch_size)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[UInt8[Tensor, "b 3 side side"]]:
        return (self.photos.center_squares(which, self.side) for which in self.batches)


def _mirror(position: Tensor, length: Tensor) -> Tensor:
    """Positions beyond 0..length-1 reflected about the border pixels, as `Network.predict` pads."""
    period = (2 * length - 2).clamp(min=1)
    position = position.remainder(period)
    return torch.minimum(position, period - position)
