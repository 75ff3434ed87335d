"""How near the command that colours comes to decoding, the network and encoding alone."""

import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from colorize.arrays import small as small_picture
from colorize.colorizer import Colorizer
from colorize.pipeline import Settings, color_files, cores
from colorize.released import DEFAULT
from colorize.targets import Job

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Rates:
    """Seconds of one run over `photographs` JPEG files of `megapixels` each, on `threads` threads.

    Attributes:
        decoding: Pillow's decoder alone, to RGB.
        network: the network alone, from L* to ab at its own size: the faster of one picture after the other
            on all threads, and one on each.
        encoding: Pillow's encoder alone, with the settings of our files, and writing them.
        coloring: all of it, as the command does it, in a process where torch is imported and has run.
        command: `python colorize.py`, from nothing.
        start: of `command`, what importing takes.
    """

    photographs: int
    megapixels: float
    threads: int
    decoding: float
    network: float
    encoding: float
    coloring: float
    command: float
    start: float

    @property
    def share(self) -> float:
        """The rate of colouring over that of decoding, network and encoding alone."""
        return (self.decoding + self.network + self.encoding) / self.coloring


def measure(
    photos: Iterable[Path], megapixels: float, count: int, weights: str = DEFAULT, threads: int | None = None
) -> Rates:
    """Colour `count` JPEG files of `megapixels`, scaled up from `photos`, and time it and its parts."""
    threads = threads or cores()
    sources = list(photos)[:count]
    colorizer = Colorizer.load(weights, device="cpu")
    with TemporaryDirectory() as folder, ThreadPoolExecutor(threads) as pool:
        files = [Path(folder, "in", f"{i:04}.jpg") for i in range(count)]
        files[0].parent.mkdir()
        list(pool.map(partial(_scale_up, megapixels=megapixels), sources, files))
        for i in range(len(sources), count):
            files[i].write_bytes(files[i - len(sources)].read_bytes())
        coded, written = Path(folder, "coded"), Path(folder, "written")
        coded.mkdir()

        def over(function: Callable[[Any], object], things: Sequence[object]) -> float:
            return _seconds(lambda: deque(pool.map(function, things), maxlen=0))

        pixels = [_decode(file) for file in files[: len(sources)]]
        small = [small_picture(p, colorizer.image_size)[None] for p in pixels]
        color = partial(_color, files, colorizer, written, threads)
        color()  # to warm up
        started = _seconds(lambda: _python("-c", "import colorize.colorizer"))
        command = ("colorize.py", str(files[0].parent), "-o", str(Path(folder, "command")))
        options = ("--weights", weights, "--device", "cpu", "--jobs", str(threads))
        return Rates(
            count,
            pixels[0].shape[0] * pixels[0].shape[1] / 1e6,
            threads,
            decoding=over(_decode, files),
            network=min(_network(colorizer, small, count, threads, pool)),
            encoding=over(lambda i: _encode(pixels[i % len(pixels)], coded / f"{i}.jpg"), range(count)),
            coloring=_seconds(color),
            command=_seconds(lambda: _python(*command, *options)),
            start=started,
        )


def _network(
    colorizer: Colorizer, small: list[Array], count: int, threads: int, pool: ThreadPoolExecutor
) -> Iterator[float]:
    """Seconds of the network alone: one picture after the other on all threads, and one on each."""
    todo = [small[i % len(small)] for i in range(count)]
    colorizer.use_threads(threads)
    yield _seconds(lambda: deque(map(colorizer.small_ab, todo), maxlen=0))
    colorizer.use_threads(1)
    yield _seconds(lambda: deque(pool.map(colorizer.small_ab, todo), maxlen=0))


def _color(files: Sequence[Path], colorizer: Colorizer, folder: Path, threads: int) -> None:
    jobs = [Job(file, folder / file.name) for file in files]
    for outcome in color_files(jobs, lambda: colorizer, Settings(), threads):
        if outcome.error is not None:
            raise RuntimeError(outcome.error)


def _scale_up(source: Path, target: Path, megapixels: float) -> None:
    with Image.open(source) as image:
        factor = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
        size = (round(factor * image.width), round(factor * image.height))
        image.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(target, quality=90)


def _decode(file: Path) -> Array:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def _encode(pixels: Array, file: Path) -> None:
    Image.fromarray(pixels).save(file, quality=95, subsampling=0)  # as `images.write` does


def _python(*words: str) -> None:
    root = Path(__file__).parent.parent.parent
    subprocess.run((sys.executable, *words), check=True, stdout=subprocess.DEVNULL, cwd=root)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
