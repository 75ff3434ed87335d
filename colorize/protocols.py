"""What of a photograph is evaluated, and at what size: rules with names, after the papers that use them."""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from colorize import images
from colorize.data.decoding import BrokenFiles, available_cpus, with_progress
from colorize.data.photo import Photo
from colorize.evaluation import Batch

Array = np.ndarray[Any, np.dtype[Any]]
Pixels = UInt8[Array, "h w 3"]
Cut = UInt8[Array, "h2 w2 3"]
T = TypeVar("T")
BATCH = 32  # photographs of one size that are measured together, unless they are large


class Protocol(NamedTuple):
    """A rule in words; the side that a picture is read at, from the size of `working` (0: whole); how it is
    cut from there; whether an output of some other size may be compared with the original.
    """

    rule: str
    read_at: Callable[[int], int]
    cut: Callable[[Pixels, int], Pixels]
    fits: Callable[[Pixels, Pixels], bool]
    own_grid: bool = False


def center_square(rgb: Pixels, side: int) -> Cut:
    """The middle of a picture whose sides are at least that long."""
    top, left = ((length - side) // 2 for length in rgb.shape[:2])
    return rgb[top : top + side, left : left + side]


def squeezed(rgb: Pixels, side: int) -> Cut:
    """A square of the whole picture, whatever its aspect; bicubic."""
    return np.asarray(Image.fromarray(rgb).resize((side, side), Image.Resampling.BICUBIC))


def same_aspect(output: Cut, original: Pixels) -> bool:
    """Whether one could be the other scaled, but for 2 %."""
    (h, w), (h2, w2) = output.shape[:2], original.shape[:2]
    return bool(abs(h * w2 / (w * h2) - 1) <= 0.02)


PROTOCOLS = {
    "working": Protocol(
        "shorter side scaled to the weights' image size or `size`, centre square",
        lambda size: size,
        center_square,
        same_aspect,
    ),
    "zhang16": Protocol(
        "shorter side scaled to 256, centre 224 x 224; a network's ab compared on its own grid",
        lambda size: 256,
        lambda rgb, size: center_square(rgb, 224),
        same_aspect,
        own_grid=True,
    ),
    "val5k": Protocol(
        "centre square, scaled to 256 x 256",
        lambda size: 0,
        lambda rgb, size: squeezed(center_square(rgb, min(rgb.shape[:2])), 256),
        lambda output, original: output.shape[0] == output.shape[1] or same_aspect(output, original),
    ),
    "resize": Protocol(
        "scaled to 256 x 256, whatever the aspect",
        lambda size: 0,
        lambda rgb, size: squeezed(rgb, 256),
        lambda output, original: True,
    ),
    "whole": Protocol(
        "whole pictures at their own size",
        lambda size: 0,
        lambda rgb, size: rgb,
        lambda output, original: output.shape == original.shape,
    ),
}


def find_protocol(name: str) -> Protocol:
    """A protocol by its name.

    Raises:
        ValueError: if there is none; lists them.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"there is no protocol {name}; choose {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def read_batches(
    photos: Sequence[Photo],
    protocol: Protocol,
    size: int,
    read_outputs: Callable[[Photo, Pixels], dict[str, Cut]] | None = None,
) -> Iterator[Batch]:
    """Photographs in order, cut by the protocol, in batches of one size; a few are read ahead in threads.

    Args:
        photos: the originals.
        protocol: the rule.
        size: side of the squares, for the protocol that goes by it.
        read_outputs: from an original, and all its pixels as read, to what others made of it.

    Raises:
        ValueError: if more than one in a hundred is broken, or one and all.
    """
    broken = BrokenFiles(0.01, len(photos))

    def read(photo: Photo) -> tuple[Pixels, dict[str, Pixels]] | ValueError:
        try:
            rgb = images.read_rgb8(photo.read(), protocol.read_at(size) or None)
        except (ValueError, OSError) as error:
            return ValueError(str(error))
        outputs = read_outputs(photo, rgb) if read_outputs else {}
        return protocol.cut(rgb, size), {way: protocol.cut(other, size) for way, other in outputs.items()}

    waiting: list[tuple[str, Pixels, dict[str, Pixels]]] = []
    for photo, result in with_progress(_ahead(photos, read), "Evaluating photographs", len(photos)):
        if isinstance(result, ValueError):
            broken.add(photo, str(result))
            continue
        rgb, outputs = result
        if waiting and (waiting[0][1].shape != rgb.shape or len(waiting) * rgb.size >= BATCH * 3 * 128**2):
            yield _stack(waiting)
            waiting = []
        waiting.append((photo.name, rgb, outputs))
    if waiting:
        yield _stack(waiting)
    if len(broken.found) == len(photos):
        raise ValueError(f"none of the {len(photos)} photographs could be read")
    if broken.found:
        print(f"warning: {len(broken.found)} photographs were left out", file=sys.stderr)


def _ahead(photos: Sequence[Photo], read: Callable[[Photo], T]) -> Iterator[tuple[Photo, T]]:
    pool = ThreadPoolExecutor(available_cpus())
    queue: deque[tuple[Photo, Future[T]]] = deque()
    try:
        for photo in photos:
            queue.append((photo, pool.submit(read, photo)))
            if len(queue) > BATCH:
                first, future = queue.popleft()
                yield first, future.result()
        while queue:
            first, future = queue.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _stack(rows: Sequence[tuple[str, Pixels, dict[str, Pixels]]]) -> Batch:
    names, pixels, outputs = zip(*rows, strict=True)
    return Batch(
        list(names), _tensor(pixels), {way: _tensor([one[way] for one in outputs]) for way in outputs[0]}
    )


def _tensor(pictures: Sequence[Pixels]) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
