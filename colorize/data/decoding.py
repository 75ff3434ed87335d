"""Encoded photographs -> uint8 tensors at the training size, in parallel, with broken files named and
counted.
"""

import os
import sys
from collections.abc import Iterable, Sequence
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
    """Names each broken photograph on standard error and gives up when their share passes a limit."""

    def __init__(self, limit: float, total: int) -> None:
        self.limit, self.total, self.count = limit, total, 0

    def add(self, photo: Photo, error: ValueError) -> None:
        """Note a broken photograph; one alone is always forgiven.

        Raises:
            ValueError: if more than one and more than `limit` of `total` photographs are broken.
        """
        self.count += 1
        print(f"skipped {photo}: {error}", file=sys.stderr)
        if self.count > max(1, self.limit * self.total):
            raise ValueError(
                f"{self.count} of {self.total} photographs are broken, more than "
                f"data.max_broken={self.limit:g} allows; the last one: {photo}: {error}"
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


def decode_all(photos: Sequence[Photo], image_size: int, broken: BrokenFiles) -> list[UInt8[Tensor, "3 _ _"]]:
    """Decode photographs in parallel threads, in order, with a progress bar on a terminal; broken ones are
    left out.

    Raises:
        ValueError: if more are broken than `broken` allows.
    """

    def attempt(photo: Photo) -> Tensor | ValueError:
        try:
            return decode(photo, image_size)
        except ValueError as error:
            return error

    decoded: list[Tensor] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(attempt, photos)
        for photo, result in zip(
            photos, with_progress(results, "Decoding photographs", len(photos)), strict=True
        ):
            if isinstance(result, ValueError):
                broken.add(photo, result)
            else:
                decoded.append(result)
    return decoded


def with_progress(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Pass `items` on under a progress bar, on standard error and on a terminal only."""
    console = Console(stderr=True)
    return track(items, description, total, console=console, transient=True, disable=not console.is_terminal)
