"""The benchmark's parts: each measures and returns tables, for the terminal or as Markdown."""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from rich.table import Table
from torch import Tensor

from colorize.benchmarks import limits, maths
from colorize.benchmarks.growth import growth
from colorize.benchmarks.timing import Timing
from colorize.data.decoding import BrokenFiles, decode_all
from colorize.data.held import HeldPhotos
from colorize.data.sources import find_photos

TIMING_HEADINGS = ("task", "way", "median ms", "middle half", "peak MiB", "times ours")


@dataclass(frozen=True)
class Report:
    """A table: title, headings, rows of text; the first `left` columns are words, the others figures."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1

    def terminal(self) -> Table:
        table = Table(title=self.title, title_justify="left", show_lines=False)
        for column, name in enumerate(self.headings):
            table.add_column(name, justify="left" if column < self.left else "right")
        for row, following in zip(self.rows, [*self.rows[1:], None], strict=True):
            table.add_row(*row, end_section=following is None or bool(following[0]))
        return table

    def markdown(self) -> str:
        rule = [":--" if column < self.left else "--:" for column in range(len(self.headings))]
        lines = [f"| {' | '.join(row)} |" for row in (self.headings, rule, *self.rows)]
        return "\n".join([f"## {self.title}", "", *lines])


@dataclass(frozen=True)
class Bench:
    """What the parts share: how many runs, whose photographs, on which device."""

    runs: int
    data: str | list[str]
    device: torch.device

    def photographs(self, count: int, side: int) -> Tensor:
        """Middle squares of `count` photographs (the same again where there are fewer), in [0, 1]."""
        photos = find_photos(self.data, "data")[:count]
        held = HeldPhotos(decode_all(photos, side, BrokenFiles(0.0, count)))
        squares = held.center_squares(torch.arange(count) % len(held), side)
        return squares.to(self.device).float() / 255

    @cached_property
    def targets(self) -> Tensor:
        """The photographs of one batch of the paper, at the size of its targets."""
        return self.photographs(40, 44)


def heading(bench: Bench) -> str:
    """What ran where."""
    if bench.device.type == "cuda":
        machine = torch.cuda.get_device_name(bench.device)
    else:
        machine = f"{_processor()}, {torch.get_num_threads()} threads"
    return f"{machine}, torch {torch.__version__}, Python {platform.python_version()}"


def maths_part(bench: Bench) -> list[Report]:
    """Encoding, loss, both together, RGB to Lab of small and of large pictures."""
    tasks = [
        maths.encoding(bench.targets, bench.runs),
        maths.loss(bench.targets, bench.runs),
        maths.encoding_and_loss(bench.targets, bench.runs),
        maths.lab(bench.targets, bench.runs, "RGB to Lab, 40 x 44 x 44"),
        maths.lab(bench.photographs(1, 1024), bench.runs, "RGB to Lab, 1024 x 1024"),
    ]
    return [timing_report("Our maths beside other ways", tasks)]


def limits_part(bench: Bench) -> list[Report]:
    """What the machine could do, and how near to it the loss comes."""
    bandwidth, rate = limits.copy_bandwidth(bench.device), limits.matrix_rate(bench.device)
    logits = torch.empty(40, 313, 44, 44, device="meta")
    least = limits.loss_bytes(logits) / bandwidth * 1e3
    ours = maths.loss(bench.targets, bench.runs)[0].median
    rows = [
        ("copy, read and written", f"{bandwidth / 1e9:.1f} GB/s"),
        ("matrix product, float32", f"{rate / 1e9:.0f} GFLOP/s"),
        ("loss: logits read twice, gradient written once, at that bandwidth", f"{least:.1f} ms"),
        ("loss, ours", f"{ours:.1f} ms, {least / ours:.0%} of the limit"),
    ]
    return [Report("Limits of this machine", ("what", "measured"), rows)]


def growth_part(bench: Bench) -> list[Report]:
    """The cost against bins, pixels and photographs."""
    rows = [
        (f"{q}", f"{side} x {side}", f"{batch}", f"{encode:.1f}", f"{loss:.1f}",
         f"{1e6 * encode / (batch * side**2):.0f}", f"{1e9 * loss / (q * batch * side**2) / 1e3:.2f}")
        for q, side, batch, encode, loss in growth(bench.device, bench.runs)
    ]  # fmt: skip
    headings = ("bins", "pixels", "photos", "encoding ms", "loss ms", "ns a pixel", "loss ns a logit")
    return [Report("Growth with bins, pixels and photographs", headings, rows, left=0)]


def timing_report(title: str, tasks: Sequence[Sequence[Timing]]) -> Report:
    """Timings of several tasks; of each the first way is ours."""
    rows = []
    for timings in tasks:
        for t in timings:
            task = t.task if t is timings[0] else ""
            spread, ratio = f"{t.low:.1f} - {t.high:.1f}", f"{t.median / timings[0].median:.1f}"
            peak = "" if t.peak is None else f"{t.peak / 2**20:.0f}"
            rows.append((task, t.way, f"{t.median:.1f}", spread, peak, ratio))
    return Report(title, TIMING_HEADINGS, rows, left=2)


def _processor() -> str:
    """The processor's name as Linux has it, else its architecture."""
    about = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (about.read_text().splitlines() if about.exists() else [])
        if line.startswith("model name")
    ]
    return f"{names[0]}, {os.cpu_count()} cores" if names else platform.machine()


PARTS: dict[str, Callable[[Bench], list[Report]]] = {
    "maths": maths_part,
    "limits": limits_part,
    "growth": growth_part,
}
