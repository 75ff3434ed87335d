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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from colorize import __version__

if TYPE_CHECKING:
    from colorize.colorizer import Colorizer
    from colorize.images import Picture

SOME_FAILED, USAGE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141  # exit codes; the last two as shells have them
_RESULT = "-color"  # what is added to a name

_DESCRIPTION = f"""\
Colour photographs. Each result is written beside its input as NAME{_RESULT}.EXT, at
full size and with the input's own lightness; inputs are never replaced.
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


@dataclass(frozen=True)
class _Job:
    source: Path
    target: Path


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv`, by default that of the process, and return its exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that is not valid UTF-8 is printed as the bytes it has
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the user can act on, is an error line
            return _run(options)
    except _WrongOption as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # as in `colorize.py album | head`; at exit Python would complain once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH", help="a picture, or a folder of pictures")
    add("-o", "--output", type=Path, metavar="DIR", help="write into DIR, which keeps the structure of folders")
    add("--weights", default="conv8", metavar="NAME", help="released weights or a .safetensors file (default: conv8)")
    add("--temperature", type=_factor, metavar="T",
        help="0 takes the likeliest colour, 1 the mean of all (default: as the weights say, mostly 0.38)")  # fmt: skip
    add("--saturation", type=_factor, metavar="S",
        help="factor on the colours, 0 is grey (default: as the weights say, mostly 1)")  # fmt: skip
    add("--device", default="auto", type=_device, metavar="NAME",
        help="auto, cpu, cuda, cuda:N or mps (default: auto, a GPU if there is one)")  # fmt: skip
    add("--strip", action="store_true", help="write the grey picture and the result side by side")
    add("--force", action="store_true", help="replace results that exist (default: skip those pictures)")
    add("--jobs", default=2, type=_count, metavar="N", help="pictures read and written at a time (default: 2)")
    add("--version", action="version", version=f"colorize {__version__}")
    return parser


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

    if options.output is not None and options.output.exists() and not options.output.is_dir():
        raise _WrongOption(f"argument -o: {options.output} is a file, expected a folder")
    plan = make_plan(options.paths, options.output, options.force)
    for line in plan.failures + plan.notes:
        print(line, file=sys.stderr)
    failed = len(plan.failures)
    with _progress(len(plan.jobs)) as (say, advance):
        for target, error in _color(plan.jobs, options):
            failed += error is not None
            say(error or str(target), error is not None)
            advance()
    return SOME_FAILED if failed else 0


def _color(jobs: Sequence["Job"], options: argparse.Namespace) -> Iterator[tuple[Path, str | None]]:
    """Colour all; for each job, in order, its target and, if it failed, a line that says why.

    Pictures are read ahead and written behind by threads, no more than `options.jobs` at a time of either.
    """
    if not jobs:
        return
    reading: deque[Future[Picture]] = deque()
    writing: deque[tuple[Job, Future[None]]] = deque()
    ahead = iter(jobs)
    ...
