"""Square windows of photographs, batch by batch, from memory or from disk."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from colorize.data.decoding import BrokenFiles, decode
from colorize.data.sources import Photo


class HeldPhotos:
    """Decoded photographs of any sizes in one uint8 tensor, in RAM or on the device, cut by one gather a
    batch.
    """

    def __init__(self, photos: Sequence[UInt8[Tensor, "3 _ _"]]) -> None:
        if not photos:
            raise ValueError("there are no photographs to hold")
        self.pixels = torch.cat([photo.flatten(1) for photo in photos], dim=1)  # 3 n
        self.sizes = torch.tensor([photo.shape[1:] for photo in photos])  # photos (h, w)
        areas = self.sizes.prod(dim=1)
        self.starts = areas.cumsum(0) - areas

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
        row_starts = self.starts[which][:, None] + rows * width[:, None]
        row_starts, columns = (x.to(self.pixels.device, non_blocking=True) for x in (row_starts, columns))
        flat = row_starts[:, :, None] + columns[:, None, :]  # b side side
        return torch.stack([plane[flat] for plane in self.pixels], dim=1)

    def center_squares(self, which: Int[Tensor, " b"], side: int) -> UInt8[Tensor, "b 3 side side"]:
        """The middle of photographs, for validation."""
        offset = (self.sizes[which] - side).div(2, rounding_mode="floor")
        return self.cut(which, offset[:, 0], offset[:, 1], side)


class WindowBatches:
    """One epoch at each iteration: a random window of every photograph, shuffled, in uint8 batches (b, 3,
    side, side).

    Order and windows depend on the seed and the epoch alone. `rank` of `world_size` takes every world_size-th
    one.
    """

    def __init__(
        self,
        photos: HeldPhotos,
        batch_size: int,
        side: int,
        repeats: int = 1,
        seed: int = 0,
        epoch: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.photos, self.batch_size, self.side, self.repeats = photos, batch_size, side, repeats
        self.seed, self.epoch, self.rank, self.world_size = seed, epoch, rank, world_size

    def __len__(self) -> int:
        return max(1, len(self.photos) * self.repeats // self.world_size // self.batch_size)

    def __iter__(self) -> Iterator[UInt8[Tensor, "b 3 side side"]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        self.epoch += 1
        order = torch.cat(
            [torch.randperm(len(self.photos), generator=generator) for _ in range(self.repeats)]
        )
        position = torch.rand(len(order), 2, generator=generator)
        room = (self.photos.sizes[order] - self.side + 1).float()
        corner = torch.floor(position * room.clamp(min=1) + (room.clamp(max=1) - 1) / 2).long()
        mine = torch.arange(self.rank, len(order), self.world_size)
        for batch in torch.split(mine, self.batch_size)[: len(self)]:
            yield self.photos.cut(order[batch], corner[batch, 0], corner[batch, 1], self.side)


class StreamedWindows(Dataset[Tensor]):
    """A random window of each photograph, read and decoded as it comes; for sets that memory does not hold.

    Decoding is repeated every epoch, in the workers of a DataLoader. A broken photograph is named, counted,
    and the next one is taken in its place.
    """

    def __init__(
        self, photos: Sequence[Photo], image_size: int, side: int, max_broken: float, random: bool = True
    ) -> None:
        self.photos, self.image_size, self.side, self.random = photos, image_size, side, random
        self.broken = BrokenFiles(max_broken, len(photos))
        self.seen_broken: set[int] = set()

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, i: int) -> UInt8[Tensor, "3 side side"]:
        held = None
        while held is None:
            try:
                held = HeldPhotos([decode(self.photos[i], self.image_size)])
            except ValueError as error:
                if i not in self.seen_broken:
                    self.seen_broken.add(i)
                    self.broken.add(self.photos[i], error)
                if len(self.seen_broken) == len(self.photos):
                    raise ValueError(f"none of {len(self.photos)} photographs could be read") from error
                i = (i + 1) % len(self.photos)
        if not self.random:
            return held.center_squares(torch.tensor([0]), self.side)[0]
        room = (held.sizes[0] - self.side + 1).float()
        corner = torch.floor(torch.rand(2) * room.clamp(min=1) + (room.clamp(max=1) - 1) / 2).long()
        return held.cut(torch.tensor([0]), corner[:1], corner[1:], self.side)[0]


def _mirror(position: Tensor, length: Tensor) -> Tensor:
    """Positions beyond 0..length-1 reflected about the border pixels, as `Network.predict` pads."""
    period = (2 * length - 2).clamp(min=1)
    position = position.remainder(period)
    return torch.minimum(position, period - position)
