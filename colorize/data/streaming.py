"""Windows of photographs that memory does not hold: read and decoded as they come, by worker processes."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from colorize.data.decoding import BrokenFiles, decode
from colorize.data.sources import Photo
from colorize.data.windows import HeldPhotos

Key = tuple[Int[Tensor, " b"], Float[Tensor, "b 2"] | None]
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
        self.photos, self.broken = photos, broken
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
            yield windows


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
