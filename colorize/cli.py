"""The command that colours: paths in, files out, an exit code.

What is heavy (torch, Pillow) is imported when the arguments have been read, so that --help is quick.
"""

import argparse
import contextlib
import gc
import io
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from colorize import __version__
from colorize.released import DEFAULT

if TYPE_CHECKING:
    from colorize.pipeline import Outcome, Predictor
    from colorize.targets import Job

SOME_FAILED, WRONG_OPTION, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141  # exit codes; the last two as in shells

ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
"""Threads that spin while they wait take the cores from those that work; read when torch and numpy load."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # and what turns writing around

_DESCRIPTION = """\
Colour photographs. Each result is written beside its input as NAME-color.EXT,
at full size and with the input's own lightness; inputs are never replaced.
"""
_EPILOG = """\
Folders are searched with all that is in them, but for hidden files and names
that end in -color, the results of earlier runs. A GIF becomes PNG, and so does
a BMP with transparency; 16-bit PNG and TIFF stay 16-bit. The paths of results
are printed, a line each, control characters in them as \\n or \\x1b. A name
that begins with - is given as ./-name.jpg. The exit code is 0, or 1 if a
picture failed (the others are done), or 2 for a wrong option.

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
    if (
        argv is None
    ):  # looking for garbage in all that torch makes takes half a second, on loading and at the end
        gc.disable()
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
        default=DEFAULT,
        metavar="NAME",
        help=f"released weights, a file or hf://OWNER/NAME (default: {DEFAULT})",
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
        "--vividness",
        type=_factor,
        metavar="V",
        help="how much rare colours count: 0 as in nature, 1 far more (default: set by the weights)",
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
    add("--jobs", type=_count, metavar="N", help="pictures in work at a time (default: one a core)")
    add("--null", action="store_true", help="end printed paths with NUL instead of a new line")
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
    from colorize.released import find_weights
    from colorize.targets import make_plan

    if options.output is not None and os.path.exists(options.output) and not os.path.isdir(options.output):
        raise _WrongOption(f"argument -o/--output: {options.output} is a file, expected a folder")
    try:
        # Also if it turns out that there is nothing to colour.
        options.weights = find_weights(options.weights)
    except ValueError as error:
        raise _WrongOption(str(error)) from error
    plan = make_plan(options.paths, options.output, options.force)
    for line in (*plan.failures, *plan.notes):
        print(_visible(line), file=sys.stderr)
    failures = len(plan.failures)
    if plan.jobs:
        with (
            _lines_above_progress(len(plan.jobs), options.null) as say,
            contextlib.closing(_color(plan.jobs, options)) as results,
        ):
            for result in results:
                failures += result.error is not None
                say(result)
    return SOME_FAILED if failures else 0


def _color(jobs: Sequence["Job"], options: argparse.Namespace) -> "Generator[Outcome, None, None]":
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from colorize.pipeline import Settings, color_files, cores

    settings = Settings(options.temperature, options.saturation, options.strip)
    return color_files(jobs, lambda: _load(options), settings, options.jobs or cores())


def _load(options: argparse.Namespace) -> "Predictor":
    try:
        if options.weights.suffix.lower() in (".onnx", ".pt2"):
            from colorize.frozen.running import FrozenColorizer

            if options.device not in ("auto", "cpu"):
                raise _WrongOption(f"argument --device: {options.weights} runs on the processor")
            frozen = FrozenColorizer.load(options.weights)
            if options.vividness is not None:
                frozen.vividness = options.vividness
            return frozen
        from colorize.colorizer import Colorizer  # while the first pictures are read: torch takes its time

        colorizer = Colorizer.load(options.weights, options.device)
        if options.vividness is not None:
            colorizer.vividness = options.vividness
    except ValueError as error:
        raise _WrongOption(str(error)) from error
    finally:
        if not gc.isenabled():
            gc.freeze()
            gc.enable()
    return colorizer


def _visible(text: str) -> str:
    """One line, whatever is in a file's name: control characters as in Python's texts, such as \\n."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


@contextlib.contextmanager
def _lines_above_progress(total: int, null: bool) -> "Iterator[Callable[[Outcome], None]]":
    """A function that prints what became of a picture; on a terminal a progress bar is below.

    Paths of results go to stdout, the rest to stderr.
    """

    def path_of(outcome: "Outcome") -> str:
        return f"{outcome.job.target}\0" if null else f"{_visible(str(outcome.job.target))}\n"

    def lines(outcome: "Outcome") -> list[str]:
        return [_visible(line) for line in (outcome.note, outcome.error) if line is not None]

    if not sys.stderr.isatty():

        def plain(outcome: "Outcome") -> None:
            if outcome.error is None:
                print(path_of(outcome), end="", flush=True)
            for line in lines(outcome):
                print(line, file=sys.stderr, flush=True)

        yield plain
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = ("colouring", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("", total=total)

        def above(outcome: "Outcome") -> None:
            shown = lines(outcome)
            if outcome.error is None and sys.stdout.isatty() and not null:
                shown.insert(0, _visible(str(outcome.job.target)))
            elif outcome.error is None:
                print(path_of(outcome), end="", flush=True)
            for line in shown:  # through the bar, which would otherwise be in the way
                console.print(line, soft_wrap=True, markup=False, highlight=False)
            progress.advance(task)

        yield above
