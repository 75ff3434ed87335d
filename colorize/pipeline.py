"""Many picture files through one network: read, coloured and written on several threads. Without torch.

A thread takes a picture all the way. Decoders, numpy and networks let go of the interpreter while they
compute, so that as many pictures as there are cores keep every core busy.
"""

import contextlib
import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from colorize import arrays, images
from colorize.targets import Job

MOST_PIXELS = 150_000_000  # of all pictures in work; one picture may have more
_AHEAD = 8  # pictures to a thread that may be done before the one whose turn it is

Array = np.ndarray[Any, np.dtype[Any]]


@runtime_checkable  # for the tests, which check types
class Predictor(Protocol):
    """What colours pictures of the network's size: a `Colorizer`, or anything with these."""

    image_size: int
    """Shorter side at which the network sees a picture."""

    @property
    def stride(self) -> int:
        """Pixels that the network sees to one of the ab that it gives."""

    @property
    def batch(self) -> int:
        """Pictures that are quicker together; 1 if each is as quick alone, on a thread of its own."""

    def use_threads(self, threads: int) -> None:
        """Of the processor, for each of the calls that come at the same time."""

    def small_ab(
        self, small: UInt8[Array, "b h w 3"], temperature: float | None, saturation: float | None
    ) -> Float32[Array, "b 2 h2 w2"]:
        """ab for sRGB pictures. None stands for the weights' own settings."""


@dataclass(frozen=True)
class Settings:
    temperature: float | None = None
    saturation: float | None = None
    strip: bool = False
    """Whether the grey picture stands beside the coloured one."""


@dataclass(frozen=True)
class Outcome:
    """What became of a picture: an error if it failed; a note if it is coloured but there is more to say."""

    job: Job
    error: str | None = None
    note: str | None = None


def color_files(
    jobs: Sequence[Job], load: Callable[[], Predictor], settings: Settings, threads: int
) -> Generator[Outcome, None, None]:
    """Colour all and yield what became of each, in order.

    Args:
        jobs: what to colour, and where to.
        load: gives the predictor; called once, while the first pictures are read.
        settings: how to colour.
        threads: pictures in work at a time; fewer where they are large, `MOST_PIXELS` in all.
    """
    at_a_time = min(threads, len(jobs))
    memory = _Memory(MOST_PIXELS)
    loading: Future[_Together] = Future()

    def color(job: Job) -> Outcome:
        with memory.room(images.pixel_count(job.source)):
            return _color(job, loading, settings, max(1, cores() // at_a_time))

    todo = iter(jobs)
    pool = ThreadPoolExecutor(at_a_time)
    try:
        doing = deque(pool.submit(color, job) for job in itertools.islice(todo, _AHEAD * at_a_time))
        predictor = load()
        predictor.use_threads(max(1, cores() // at_a_time))
        loading.set_result(_Together(predictor, settings))
        while doing:
            yield doing.popleft().result()
            doing.extend(pool.submit(color, job) for job in itertools.islice(todo, 1))
    finally:
        loading.cancel()  # if it has failed nobody need wait for it
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _color(job: Job, loading: "Future[_Together]", settings: Settings, threads: int) -> Outcome:
    try:
        picture = images.read(job.source)
        network = loading.result()
        small = arrays.small(picture.rgb, network.predictor.image_size)
        ab, stride = network(small), network.predictor.stride
        join = partial(arrays.join_small, picture.rgb, seen=small.shape, stride=stride, threads=threads)
        grey = join(np.zeros_like(ab)) if settings.strip else None
        rgb, alpha = join(ab, in_place=True), picture.alpha
        if grey is not None:
            grey = np.broadcast_to(grey[:, :, 1:2], rgb.shape)  # R and B may be a rounding away
            rgb = np.concatenate((grey, rgb), axis=1)
            alpha = None if alpha is None else np.concatenate((alpha, alpha), axis=1)
        frames = picture.frames
        picture = replace(picture, rgb=rgb, alpha=alpha)  # and the pixels that were read are let go of
        job.target.parent.mkdir(parents=True, exist_ok=True)
        images.write(job.target, picture)
    except ValueError as error:
        return Outcome(job, str(error))
    except OSError as error:
        return Outcome(job, f"{job.target}: cannot be written: {error.strerror or error}")
    except MemoryError:
        hint = "too large for this machine's memory; scale it down or use --jobs 1"
        return Outcome(job, f"{job.source}: {hint}")
    what = "pages" if job.target.suffix.lower() in images.SUFFIXES["TIFF"] else "frames"
    return Outcome(job, note=f"{job.source}: coloured the first of {frames} {what}" if frames > 1 else None)


_Waiting = tuple[Array, "Future[Array]"]


class _Together:
    """The network as many threads call it: pictures of one size that wait for it go through it together."""

    def __init__(self, predictor: Predictor, settings: Settings) -> None:
        self.predictor = predictor
        self.settings = settings
        self._one_at_a_time = threading.Lock()
        self._list = threading.Lock()
        self._waiting: list[_Waiting] = []

    def __call__(self, small: UInt8[Array, "h w 3"]) -> Float32[Array, "2 h2 w2"]:
        if self.predictor.batch == 1:
            alone: Array = self._predict(small[None])[0]
            return alone
        mine: _Waiting = (small, Future())
        with self._list:
            self._waiting.append(mine)
        with self._one_at_a_time:
            if not mine[1].done():  # else it was with one that had its turn before
                batch = self._take(mine)
                try:
                    results = self._predict(np.stack([small for small, _ in batch]))
                except BaseException as error:
                    for _, result in batch:
                        result.set_exception(error)
                    raise
                for (_, result), ab in zip(batch, results, strict=True):
                    result.set_result(ab)
        return mine[1].result()

    def _take(self, mine: "_Waiting") -> list["_Waiting"]:
        """`mine` and others of its size, no longer waiting."""
        with self._list:
            alike = [w for w in self._waiting if w[0].shape == mine[0].shape and w is not mine]
            batch = [mine, *alike[: self.predictor.batch - 1]]
            taken = {id(w) for w in batch}
            self._waiting = [w for w in self._waiting if id(w) not in taken]
            return batch

    def _predict(self, small: UInt8[Array, "b h w 3"]) -> Float32[Array, "b 2 h2 w2"]:
        return self.predictor.small_ab(small, self.settings.temperature, self.settings.saturation)


class _Memory:
    """Lets pictures in while the pixels of those inside are fewer than `most`; what has more comes alone."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0
        self.changed = threading.Condition()

    @contextlib.contextmanager
    def room(self, pixels: int) -> Iterator[None]:
        with self.changed:
            self.changed.wait_for(lambda: self.used == 0 or self.used + pixels <= self.most)
            self.used += pixels
        try:
            yield
        finally:
            with self.changed:
                self.used -= pixels
                self.changed.notify_all()
