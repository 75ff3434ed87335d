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

from colorize.data.sources import Photo
from colorize.images import read_rgb8

T = TypeVar("T")


class BrokenFiles:
    """Names each broken photograph once, on standard error, and gives up when their share passes a limit.

    Args:
        limit: share of broken photographs that is forgiven; one alone always is.
        total: number of all photographs.
    """

    def __init__(self, limit: float, total: int) -> None:
        self.limit, self.total = limit, total
        self.found: set[Photo] = set()

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
        self.found.add(photo)
        print(f"skipped {photo}: {reason}", file=sys.stderr)
        if len(self.found) > self.allowed:
            raise ValueError(
                f"{len(self.found)} of {self.total} photographs are broken, more than "
                f"data.max_broken={self.limit:g} allows; the last one: {photo}: {reason}"
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
    """Decode photographs in parallel threads, in order, with a progress bar on a terminal; broken ones are
    left out.

    Raises:
        ValueError: if more are broken than `broken` allows, or all.
    """

    def attempt(photo: Photo) -> Tensor | ValueError:
        try:
            return decode(photo, image_size)
        except ValueError as error:
            return error

    failed = 0
    pool = ThreadPoolExecutor(available_cpus())
    try:
        results = with_progress(pool.map(attempt, photos), "Decoding photographs", len(photos))
        for photo, result in zip(photos, results, strict=True):
            if isinstance(result, ValueError):
                failed += 1
                broken.add(photo, str(result))
            else:
                yield result
    finally:
        pool.shutdown(cancel_futures=True)  # once too many are broken the others need not be read
    if failed == len(photos):
        raise ValueError(f"none of the {failed} photographs could be read")


def available_cpus() -> int:
    """CPUs that this process may use, which containers and job schedulers make fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def with_progress(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Pass `items` on under a progress bar, on standard error and on a terminal only."""
    console = Console(stderr=True)
    return track(items, description, total, console=console, transient=True, disable=not console.is_terminal)
