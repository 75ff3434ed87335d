"""Decoded photographs held in memory, on the host or on the device, and square windows cut from them."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

DIGEST_SIZE = 16  # bytes


class HeldPhotos:
    """Decoded photographs of any sizes in one uint8 tensor, in RAM or on the device.

    Attributes:
        pixels: of each photograph 3 h w, one behind the other.
        sizes: (photos, 2), height and width in pixels.
        digests: (photos, 16), a hash of each one's size and pixels.
        starts: (photos), where each begins in `pixels`.
        pinned: whether windows cut in RAM are for a GPU, which takes pinned ones while it computes.

    Raises:
        ValueError: if there is no photograph.
    """

    pinned = False

    def __init__(self, photos: Iterable[UInt8[Tensor, "3 _ _"]]) -> None:
        # A bytearray grows in place (the kernel moves pages, not bytes): no photograph is there twice.
        joined, sizes, digests = bytearray(), [], bytearray()
        for photo in photos:
            pixels = photo.contiguous().flatten().numpy().data
            joined += pixels
            sizes.append((photo.shape[1], photo.shape[2]))
            digests += digest(sizes[-1], pixels)
        if not sizes:
            raise ValueError("there are no photographs to hold")
        self._hold(
            torch.frombuffer(joined, dtype=torch.uint8),
            torch.tensor(sizes),
            torch.frombuffer(digests, dtype=torch.uint8).view(-1, DIGEST_SIZE),
        )

    @classmethod
    def of(
        cls, pixels: UInt8[Tensor, " n"], sizes: Int[Tensor, "photos 2"], digests: UInt8[Tensor, "photos d"]
    ) -> "HeldPhotos":
        """Photographs that lie behind each other in `pixels` already."""
        held = cls.__new__(cls)
        held._hold(pixels, sizes, digests)
        return held

    def _hold(self, pixels: Tensor, sizes: Tensor, digests: Tensor) -> None:
        self.pixels, self.sizes, self.digests = pixels, sizes, digests
        areas = sizes.prod(dim=1)
        self.starts = 3 * (areas.cumsum(0) - areas)

    def select(self, which: Sequence[int]) -> "HeldPhotos":
        """Some of the photographs; they share the pixels."""
        held = type(self).__new__(type(self))
        chosen = torch.tensor(which, dtype=torch.long)
        held.pixels = self.pixels
        held.sizes, held.digests, held.starts = (t[chosen] for t in (self.sizes, self.digests, self.starts))
        return held

    def __len__(self) -> int:
        return len(self.sizes)

    def to(self, device: torch.device | str) -> "HeldPhotos":
        """Move the pixels; the small tables of sizes stay where random numbers are drawn, on the host."""
        self.pixels = self.pixels.to(device)
        return self

    def cut(
        self, which: Int[Tensor, " b"], top: Int[Tensor, " b"], left: Int[Tensor, " b"], side: int
    ) -> UInt8[Tensor, "b 3 side side"]:
        """Windows of photographs `which` from (top, left), mirrored beyond a photograph's border.

        On the CPU a window inside its photograph is copied row by row, thirty times as fast as gathering its
        pixels one by one; the others, and all of them on a device, are gathered.
        """
        height, width = self.sizes[which].unbind(dim=1)
        corners = torch.stack((self.starts[which], height, width, top, left))
        if self.pixels.device.type != "cpu":
            return self._gather(corners, side)
        inside = (top >= 0) & (left >= 0) & (top + side <= height) & (left + side <= width)
        source = self.pixels.numpy()
        cut = torch.empty((len(which), 3, side, side), dtype=torch.uint8, pin_memory=self.pinned)
        windows = cut.numpy()
        for i in inside.nonzero()[:, 0].tolist():
            start, h, w, y, x = corners[:, i].tolist()
            strides = (h * w, w, 1)
            windows[i] = np.ndarray((3, side, side), np.uint8, source, start + y * w + x, strides)
        if not inside.all():
            windows[~inside.numpy()] = self._gather(corners[:, ~inside], side).numpy()
        return cut

    def _gather(self, corners: Int[Tensor, "5 b"], side: int) -> UInt8[Tensor, "b 3 side side"]:
        """Windows by their photograph's start, height and width and their own top and left."""
        device = self.pixels.device
        if device.type == "cuda":
            corners = corners.pin_memory()  # else the copy waits for what the device is doing
        start, height, width, top, left = corners.to(device, non_blocking=True)[..., None]  # each b 1
        along = torch.arange(side, device=device)
        rows = _mirror(top + along, height)  # b side
        columns = _mirror(left + along, width)
        planes = start + torch.arange(3, device=device) * (height * width)  # b 3
        row_starts = planes[:, :, None] + (rows * width)[:, None]  # b 3 side
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


def digest(size: tuple[int, int], pixels: memoryview) -> bytes:
    """A hash of a decoded photograph."""
    content = hashlib.blake2b(b"%d %d " % size, digest_size=DIGEST_SIZE)
    content.update(pixels)
    return content.digest()


def _mirror(position: Tensor, length: Tensor) -> Tensor:
    """Positions beyond 0..length-1 reflected about the border pixels, as `Network.predict` pads."""
    period = (2 * length - 2).clamp(min=1)
    position = position.remainder(period)
    return torch.minimum(position, period - position)
