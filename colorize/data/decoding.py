"""Encoded photographs -> uint8 tensors at the training size, in parallel, with broken files named and
counted.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from jaxtyping import UInt8
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from colorize.data.photo import Photo
from colorize.images import read_rgb8

T = TypeVar("T")

PROCESSES_FROM = 512  # photographs: to start processes takes as long as decoding some hundred


class BrokenFiles:
    """Names each broken photograph once, on standard error, and gives up when their share passes a limit.

    Args:
        limit: share of broken photographs that is forgiven; one alone always is.
        total: number of all photographs.
        setting: what messages call the limit.

    Attributes:
        found: broken photograph -> why.
    """

    def __init__(self, limit: float, total: int, setting: str = "data.max_broken") -> None:
        self.limit, self.total, self.setting = limit, total, setting
        self.found: dict[Photo, str] = {}

    @property
    def allowed(self) -> int:
        """How many may be broken."""
        return max(1, int(self.limit * self.total))

    def add(self, photo: Photo, reason: str) -> None:
        """Note a broken photograph.

        Raises:
            ValueError: if there are more than allowed.
        """
        if photo in self.found:
            return
        self.found[photo] = reason
        print(f"skipped {photo}: {reason}", file=sys.stderr)
        if len(self.found) > self.allowed:
            raise ValueError(
                f"{len(self.found)} of {self.total} photographs are broken, more than "
                f"{self.setting}={self.limit:g} allows; the last one: {photo}: {reason}"
            )


def decode(photo: Photo, image_size: int) -> UInt8[Tensor, "3 h w"]:
    """Decode a photograph and scale it to `image_size` at the shorter side.

    Raises:
        ValueError: if it is broken.
    """
    try:
        encoded = photo.read()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    return torch.from_numpy(read_rgb8(encoded, image_size)).permute(2, 0, 1).contiguous()


def decode_all(
    photos: Sequence[Photo], image_size: int, broken: BrokenFiles
) -> Iterator[UInt8[Tensor, "3 _ _"]]:
    """Decode photographs in parallel, in order, with a progress bar on a terminal; broken ones are left out.

    A few are decoded by threads, which start at once but decode small ones hardly faster than one alone does,
    more by processes.

    Raises:
        ValueError: if more are broken than `broken` allows, or all.
    """
    decoded = _by_processes if len(photos) >= PROCESSES_FROM and available_cpus() > 1 else _by_threads
    failed = 0
    results = with_progress(decoded(photos, image_size), "Decoding photographs", len(photos))
    for photo, result in zip(photos, results, strict=True):
        if isinstance(result, str):
            failed += 1
            broken.add(photo, result)
        else:
            yield result
    if failed == len(photos):
        raise ValueError(f"none of the {failed} photographs could be read")


def _attempt(photo: Photo, image_size: int) -> Tensor | str:
    """The photograph, or why there is none."""
    try:
        return decode(photo, image_size)
    except ValueError as error:
        return str(error)


def _by_threads(photos: Sequence[Photo], image_size: int) -> Iterator[Tensor | str]:
    pool = ThreadPoolExecutor(available_cpus())
    try:
        yield from pool.map(lambda photo: _attempt(photo, image_size), photos)
    finally:
        pool.shutdown(cancel_futures=True)  # once too many are broken the others need not be read


def _by_processes(photos: Sequence[Photo], image_size: int) -> Iterator[Tensor | str]:
    loader = DataLoader(
        _Stretches(photos, image_size, 32),
        batch_size=None,
        num_workers=available_cpus(),
        generator=torch.Generator(),  # of the workers' seeds, which else come from the process's own
    )
    for pixels, about in loader:
        start = 0
        for one in about:
            if isinstance(one, str):
                yield one
            else:
                yield pixels[start : start + 3 * one[0] * one[1]].view(3, *one)
                start += 3 * one[0] * one[1]


class _Stretches(Dataset[tuple[Tensor, list[str | tuple[int, int]]]]):
    """Photographs decoded, some at a time: pixels, and of each its height and width or why it is broken."""

    def __init__(self, photos: Sequence[Photo], image_size: int, length: int) -> None:
        self.photos, self.image_size, self.length = photos, image_size, length

    def __len__(self) -> int:
        return -(-len(self.photos) // self.length)

    def __getitem__(self, i: int) -> tuple[UInt8[Tensor, " n"], list[str | tuple[int, int]]]:
        stretch = self.photos[i * self.length : (i + 1) * self.length]
        decoded = [_attempt(photo, self.image_size) for photo in stretch]
        pixels = [one.flatten() for one in decoded if isinstance(one, Tensor)]
        about = [one if isinstance(one, str) else (one.shape[1], one.shape[2]) for one in decoded]
        return torch.cat(pixels) if pixels else torch.empty(0, dtype=torch.uint8), about


def available_cpus() -> int:
    """CPUs that this process may use, which containers and job schedulers make fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def with_progress(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Pass `items` on under a progress bar, on standard error and on a terminal only."""
    console = Console(stderr=True)
    return track(items, description, total, console=console, transient=True, disable=not console.is_terminal)
