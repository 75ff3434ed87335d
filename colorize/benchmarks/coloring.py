"""How near the command that colours comes to decoding, the network and encoding alone."""

import io
import os
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image

from colorize.arrays import small as small_picture
from colorize.cli import ENVIRONMENT
from colorize.colorizer import Colorizer
from colorize.pipeline import Settings, color_files, cores
from colorize.released import DEFAULT
from colorize.targets import Job

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Rates:
    """Over `photographs` JPEG files of `megapixels` each, on `threads` threads.

    Attributes:
        seconds: of one run, the median of some that took turns: "decoding" and "encoding" through Pillow,
            with the settings of our files; the same "by libjpeg-turbo", without Pillow's copies; "network"
            from L* to ab at its own size, the faster of one picture after the other on all threads and one on
            each; "coloring", all of it as the command does it, in a process where torch has run.
        share: the rate of colouring over that of decoding, network and encoding through Pillow; median.
        share_of_turbo: the same by libjpeg-turbo.
        command: seconds of `python colorize.py`, from nothing.
        start: of `command`, what importing takes.
    """

    photographs: int
    megapixels: float
    threads: int
    seconds: Mapping[str, float]
    share: float
    share_of_turbo: float
    command: float
    start: float


def measure(
    photos: Iterable[Path],
    megapixels: float,
    count: int,
    weights: str = DEFAULT,
    threads: int | None = None,
    rounds: int = 5,
) -> Rates:
    """Colour `count` JPEG files of `megapixels`, scaled up from `photos`, and time it and its parts.

    In a process with the environment of the command.
    """
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    try:
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            return process.submit(
                _measure, list(photos), megapixels, count, weights, threads, rounds
            ).result()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _measure(
    photos: list[Path], megapixels: float, count: int, weights: str, threads: int | None, rounds: int
) -> Rates:
    threads = threads or cores()
    sources = photos[:count]
    colorizer = Colorizer.load(weights, device="cpu")
    with TemporaryDirectory() as folder, ThreadPoolExecutor(threads) as pool:
        files = [Path(folder, "in", f"{i:04}.jpg") for i in range(count)]
        for name in ("in", "coded", "written"):
            Path(folder, name).mkdir()
        list(pool.map(partial(_scale_up, megapixels=megapixels), sources, files))
        for i in range(len(sources), count):
            files[i].write_bytes(files[i - len(sources)].read_bytes())
        pixels = [_decode(file) for file in files[: len(sources)]]
        small = [small_picture(p, colorizer.image_size)[None] for p in pixels]

        def over(function: Callable[[Any], object], things: Sequence[object]) -> float:
            return _seconds(lambda: deque(pool.map(function, things), maxlen=0))

        def network() -> float:
            todo = [small[i % len(small)] for i in range(count)]
            colorizer.use_threads(threads)
            in_turn = _seconds(lambda: deque(map(colorizer.small_ab, todo), maxlen=0))
            colorizer.use_threads(1)
            return min(in_turn, over(colorizer.small_ab, todo))

        def encode(encoder: Callable[[Array], bytes], i: int) -> None:
            Path(folder, "coded", f"{i}.jpg").write_bytes(encoder(pixels[i % len(pixels)]))

        ways: dict[str, Callable[[], float]] = {
            "decoding": lambda: over(_decode, files),
            "decoding by libjpeg-turbo": lambda: over(_decode_by_turbo, files),
            "network": network,
            "encoding": lambda: over(partial(encode, _encode), range(count)),
            "encoding by libjpeg-turbo": lambda: over(partial(encode, _encode_by_turbo), range(count)),
            "coloring": lambda: _seconds(lambda: _color(files, colorizer, Path(folder, "written"), threads)),
        }
        ways["coloring"]()  # to warm up
        times = [{name: way() for name, way in ways.items()} for _ in range(rounds)]
        command = ("colorize.py", str(files[0].parent), "-o", str(Path(folder, "command")))
        options = ("--weights", weights, "--device", "cpu", "--jobs", str(threads))
        return Rates(
            count,
            pixels[0].shape[0] * pixels[0].shape[1] / 1e6,
            threads,
            seconds={name: statistics.median(t[name] for t in times) for name in ways},
            share=_share(times, ""),
            share_of_turbo=_share(times, " by libjpeg-turbo"),
            start=_seconds(lambda: _python("-c", "import colorize.colorizer")),
            command=_seconds(lambda: _python(*command, *options)),
        )


def _share(times: Sequence[Mapping[str, float]], how: str) -> float:
    return statistics.median(
        (t[f"decoding{how}"] + t["network"] + t[f"encoding{how}"]) / t["coloring"] for t in times
    )


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


def _decode_by_turbo(file: Path) -> Array:
    return np.asarray(imagecodecs.jpeg8_decode(file.read_bytes()))


def _encode(pixels: Array) -> bytes:  # both as `images.write` does
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG", quality=95, subsampling=0)
    return encoded.getvalue()


def _encode_by_turbo(pixels: Array) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(pixels, level=95, subsampling="444"))


def _python(*words: str) -> None:
    root = Path(__file__).parent.parent.parent
    subprocess.run((sys.executable, *words), check=True, stdout=subprocess.DEVNULL, cwd=root)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
