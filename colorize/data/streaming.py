"""Windows of photographs that memory does not hold: read and decoded as they come, by worker processes."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from colorize.data.decoding import BrokenFiles, decode
from colorize.data.held import HeldPhotos
from colorize.data.photo import Photo
from colorize.data.windows import EpochOrder

Key = tuple[Int[Tensor, " _"], Float[Tensor, "_ 2"] | None]
"""Which photographs, and where their windows lie (see `HeldPhotos.windows`); None for the middle."""


class StreamedBatches:
    """Windows of photographs in uint8 batches (b, 3, side, side), an epoch at each iteration.

    A broken photograph is named and counted here, in the one process that knows about all of them, and the
    next one is taken in its place.

    Args:
        photos: those that the keys number.
        keys: one for each batch, at every iteration.
        image_size: shorter side to which photographs are scaled, in pixels.
        side: of the windows, in pixels.
        broken: where broken photographs are counted.
        workers: processes that decode; 0 for this one.
        persistent: whether the workers stay between epochs.

    Raises:
        ValueError: while iterating, if more photographs are broken than `broken` allows, or all.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        keys: Iterable[Key],
        image_size: int,
        side: int,
        broken: BrokenFiles,
        workers: int,
        persistent: bool = False,
    ) -> None:
        self.photos, self.keys, self.broken = photos, keys, broken
        self.loader: DataLoader[tuple[Tensor | None, dict[int, str]]] = DataLoader(
            _Decoder(photos, image_size, side, min(len(photos), broken.allowed + 1)),
            batch_size=None,  # a key is a batch
            sampler=keys,
            num_workers=workers,
            persistent_workers=persistent and workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # of the workers' seeds, which else come from the process's own
        )

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[UInt8[Tensor, "b 3 side side"]]:
        for windows, failures in self.loader:
            for i, reason in failures.items():
                self.broken.add(self.photos[i], reason)
            if windows is None:
                raise ValueError(f"none of the {len(self.photos)} photographs could be read")
            if isinstance(self.keys, EpochOrder):
                self.keys.advance()
            yield windows


def squares_of(
    photos: Sequence[Photo], image_size: int, broken: BrokenFiles, workers: int, batch_size: int = 32
) -> StreamedBatches:
    """The middle squares of photographs, in order, in batches (b, 3, image_size, image_size)."""
    keys = [(which, None) for which in torch.split(torch.arange(len(photos)), batch_size)]
    return StreamedBatches(photos, keys, image_size, image_size, broken, workers)


def read_ahead(photos: Sequence[Photo], which: Int[Tensor, " n"], gap: int = 2**20) -> None:
    """Let the system read the stretches of shards in which some photographs lie into its cache, in their
    order on disk, while this process goes on. Nothing where the system takes no such advice.

    Args:
        photos: all there are.
        which: those that will be needed.
        gap: bytes between two photographs that are sooner read than jumped over.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    stretches: dict[Path, list[list[int]]] = {}
    for i in which.sort().values.tolist():
        photo = photos[i]
        known = stretches.setdefault(photo.path, [])
        if known and 0 <= photo.offset - known[-1][1] <= gap:
            known[-1][1] = photo.offset + photo.size
        else:
            known.append([photo.offset, photo.offset + photo.size])
    for path, ranges in stretches.items():
        with contextlib.suppress(OSError), open(path, "rb") as file:  # which decoding will say
            for start, end in ranges:
                os.posix_fadvise(file.fileno(), start, end - start, os.POSIX_FADV_WILLNEED)


class _Decoder(Dataset[tuple[Tensor | None, dict[int, str]]]):
    """Key -> its windows, and which photographs were broken and why; lives in the workers.

    After `attempts` broken ones in a row, which are more than may be, there are no windows.
    """

    def __init__(self, photos: Sequence[Photo], image_size: int, side: int, attempts: int) -> None:
        self.photos, self.image_size, self.side, self.attempts = photos, image_size, side, attempts

    def __getitem__(self, key: Key) -> tuple[UInt8[Tensor, "b 3 side side"] | None, dict[int, str]]:
        which, position = key
        failures: dict[int, str] = {}
        decoded: list[Tensor] = []
        for first in which.tolist():
            for attempt in range(self.attempts):
                i = (first + attempt) % len(self.photos)
                try:
                    decoded.append(decode(self.photos[i], self.image_size))
                    break
                except ValueError as error:
                    failures[i] = str(error)
            else:
                return None, failures
        held = HeldPhotos(decoded)
        everyone = torch.arange(len(held))
        if position is None:
            return held.center_squares(everyone, self.side), failures
        return held.windows(everyone, position, self.side), failures
