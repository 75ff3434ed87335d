"""The command that colours: paths in, files out, an exit code.

What is heavy (torch, Pillow) is imported when the arguments have been read, so that --help is quick.
"""

import argparse
import contextlib
import io
import itertools
import math
import os
import re
import sys
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from colorize import __version__

if TYPE_CHECKING:
    from colorize.colorizer import Colorizer
    from colorize.frozen.running import FrozenColorizer
    from colorize.images import Picture
    from colorize.targets import Job

SOME_FAILED, WRONG_OPTION, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141  # exit codes; the last two as in shells

_DESCRIPTION = """\
Colour photographs. Each result is written beside its input as NAME-color.EXT,
at full size and with the input's own lightness; inputs are never replaced.
"""
_EPILOG = """\
Folders are searched with all that is in them, but for hidden files and names
that end in -color, the results of earlier runs. A GIF becomes PNG, and so does
a BMP with transparency; 16-bit PNG and TIFF stay 16-bit. The exit code is 0,
or 1 if a picture failed (the others are done), or 2 for a wrong option.

examples:
  python colorize.py grandfather.jpg
  python colorize.py album/ -o coloured/ --saturation 1.2
"""


class _WrongOption(Exception):
    """An option that turns out to be wrong only when torch is there."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv`, by default that of the process, and return its exit code."""
    parser = build_parser()
    options = parser.parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="surrogateescape"
        )  # prints a name that is not UTF-8 as the bytes it has
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the user can act on is an error line
            return _run(options)
    except _WrongOption as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return WRONG_OPTION
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # as in `colorize.py album | head`; at exit Python would complain once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("paths", nargs="+", type=_path, metavar="PATH", help="a picture, or a folder of pictures")
    add("-o", "--output", type=_path, metavar="DIR", help="write into DIR, keeping the structure of folders")
    add(
        "--weights",
        default="conv8",
        metavar="NAME",
        help="released weights, a file of them or a frozen one (default: conv8)",
    )
    add(
        "--temperature",
        type=_factor,
        metavar="T",
        help="0 takes the likeliest colour, 1 the mean of all (default: set by the weights)",
    )
    add(
        "--saturation",
        type=_factor,
        metavar="S",
        help="factor on the colours, 0 is grey (default: set by the weights, mostly 1)",
    )
    add(
        "--device",
        default="auto",
        type=_device,
        metavar="NAME",
        help="auto, cpu, cuda, cuda:N or mps (default: auto, a GPU if there is one)",
    )
    add("--strip", action="store_true", help="write the grey picture and the result side by side")
    add("--force", action="store_true", help="replace results that exist (default: skip their pictures)")
    add(
        "--jobs", default=2, type=_count, metavar="N", help="pictures read and written at a time (default: 2)"
    )
    add("--version", action="version", version=f"colorize {__version__}")
    return parser


def _path(text: str) -> Path:
    if text:
        return Path(text)  # of an empty text it would be the current folder
    raise argparse.ArgumentTypeError("expected a path, got an empty text")


def _factor(text: str) -> float:
    with contextlib.suppress(ValueError):
        value = float(text)
        if math.isfinite(value) and value >= 0:
            return value
    raise argparse.ArgumentTypeError(f"expected a number of 0 or more, got {text!r}")


def _count(text: str) -> int:
    if text.isdecimal() and int(text) >= 1:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {text!r}")


def _device(text: str) -> str:
    if re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        return text
    raise argparse.ArgumentTypeError(f"expected auto, cpu, cuda, cuda:N or mps, got {text!r}")


def _run(options: argparse.Namespace) -> int:
    from colorize.targets import make_plan

    if options.output is not None and os.path.isfile(options.output):
        raise _WrongOption(f"argument -o/--output: {options.output} is a file, expected a folder")
    plan = make_plan(options.paths, options.output, options.force)
    for line in (*plan.failures, *plan.notes):
        print(line, file=sys.stderr)
    failures = len(plan.failures)
    if plan.jobs:
        with (
            _lines_above_progress(len(plan.jobs)) as say,
            contextlib.closing(_color(plan.jobs, options)) as results,
        ):
            for job, reason in results:
                failures += reason is not None
                say(str(job.target) if reason is None else reason, reason is not None)
    return SOME_FAILED if failures else 0


def _color(
    jobs: Sequence["Job"], options: argparse.Namespace
) -> Generator[tuple["Job", str | None], None, None]:
    """Colour all; yields each job, in order, with None or a line that says why it failed.

    Threads read pictures ahead and write results behind, `options.jobs` of them at most on either side.
    """
    from colorize import images

    pool = ThreadPoolExecutor(options.jobs)
    try:
        todo = iter(jobs)
        reading = deque(
            (job, pool.submit(images.read, job.source)) for job in itertools.islice(todo, options.jobs)
        )
        colorizer = _load(options)  # torch is imported while the first pictures are read
        writing: deque[tuple[Job, Future[None]]] = deque()
        while reading:
            job, picture = reading.popleft()
            reading.extend((job, pool.submit(images.read, job.source)) for job in itertools.islice(todo, 1))
            writing.append((job, _color_one(pool, colorizer, job, picture, options)))
            del picture  # or it would be held until it has been written
            if len(writing) > options.jobs:
                yield _finish(*writing.popleft())
        while writing:
            yield _finish(*writing.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _load(options: argparse.Namespace) -> "Colorizer | FrozenColorizer":
    if options.weights.lower().endswith((".onnx", ".pt2", ".pte")):
        from colorize.frozen.running import FrozenColorizer  # without torch

        if options.device not in ("auto", "cpu"):
            raise _WrongOption(f"argument --device: {options.weights} is frozen and runs on the processor")
        try:
            return FrozenColorizer.load(options.weights)
        except ValueError as error:
            raise _WrongOption(str(error)) from error
    # Threads that spin while they wait make torch several times slower beside another busy program.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from colorize.colorizer import Colorizer

    try:
        return Colorizer.load(options.weights, options.device)
    except ValueError as error:
        raise _WrongOption(str(error)) from error


def _color_one(
    pool: ThreadPoolExecutor,
    colorizer: "Colorizer | FrozenColorizer",
    job: "Job",
    read: "Future[Picture]",
    options: argparse.Namespace,
) -> "Future[None]":
    """Colour a picture that is being read and have the result written."""
    try:
        picture = read.result()
        rgb, alpha = colorizer(picture.rgb, options.temperature, options.saturation), picture.alpha
        if options.strip:
            import numpy as np

            grey = colorizer(picture.rgb, saturation=0.0)[:, :, 1:2]  # R and B may be a rounding away
            rgb = np.concatenate((np.broadcast_to(grey, rgb.shape), rgb), axis=1)
            alpha = None if alpha is None else np.concatenate((alpha, alpha), axis=1)
        return pool.submit(_write, job.target, replace(picture, rgb=rgb, alpha=alpha))
    except (ValueError, MemoryError) as error:
        failed: Future[None] = Future()
        failed.set_exception(error)
        return failed


def _write(target: Path, picture: "Picture") -> None:
    from colorize import images

    target.parent.mkdir(parents=True, exist_ok=True)
    images.write(target, picture)


def _finish(job: "Job", written: "Future[None]") -> tuple["Job", str | None]:
    error = written.exception()
    if error is None:
        return job, None
    if isinstance(error, ValueError):
        return job, str(error)
    if isinstance(error, OSError):
        return job, f"{job.target}: cannot be written: {error.strerror or error}"
    if isinstance(error, MemoryError):
        return job, f"{job.source}: too large for this machine's memory; scale it down or use --jobs 1"
    raise error


@contextlib.contextmanager
def _lines_above_progress(total: int) -> Iterator[Callable[[str, bool], None]]:
    """A function that prints a line, to stderr if it is a failure; on a terminal a progress bar is below."""
    if not sys.stderr.isatty():
        yield lambda line, failed: print(line, file=sys.stderr if failed else sys.stdout, flush=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = ("colouring", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("", total=total)

        def say(line: str, failed: bool) -> None:
            if failed or sys.stdout.isatty():  # through the bar, which would otherwise be in the way
                console.print(line, soft_wrap=True, markup=False, highlight=False)
            else:
                print(line, flush=True)
            progress.advance(task)

        yield say
