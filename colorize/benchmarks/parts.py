"""The benchmark's parts: each measures and returns tables."""

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from colorize import compiled
from colorize.benchmarks import coloring, limits, maths, step, supply
from colorize.benchmarks.growth import growth
from colorize.benchmarks.report import Report, timing_report
from colorize.clock import matrix_rate
from colorize.data.decoding import BrokenFiles, decode_all
from colorize.data.held import HeldPhotos
from colorize.data.sources import find_photos


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
    bandwidth, rate = (
        limits.copy_bandwidth(bench.device),
        matrix_rate(bench.device, torch.float32, torch.get_num_threads()),
    )
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


def _processor() -> str:
    """The processor's name as Linux has it, else its architecture."""
    about = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (about.read_text().splitlines() if about.exists() else [])
        if line.startswith("model name")
    ]
    return f"{names[0]}, {os.cpu_count()} cores" if names else platform.machine()


def supply_part(bench: Bench) -> list[Report]:
    """Batches of windows from memory, beside a DataLoader over files."""
    return [timing_report("Batches of windows", [
        supply.supply(bench.data, batch, side, image_size, bench.runs, bench.device)
        for batch, side, image_size in ((40, 176, 256), (32, 48, 64))
    ])]  # fmt: skip


def step_part(bench: Bench) -> list[Report]:
    """A training step of the default recipe and of the paper's sizes, taken apart."""
    data = bench.data if isinstance(bench.data, str) else f"[{','.join(bench.data)}]"
    accelerator = "gpu" if bench.device.type == "cuda" else "cpu"
    recipes = {
        "default: conv8, 32 windows of 48": ["data.windows_per_photo=16"],
        "conv8, 4 windows of 176, 256 px": ["data.windows_per_photo=4", "data.batch_size=4",
                                            "data.window=176", "data.image_size=256"],
    }  # fmt: skip
    rows: list[tuple[str, str, str]] = []
    for name, overrides in recipes.items():
        common = [f"data.root={data}", f"trainer.accelerator={accelerator}"]
        timing = step.measure([*common, *overrides], bench.runs)
        facts = {part: f"{ms:.1f} ms" for part, ms in timing.parts.items()} | {
            "whole step": f"{timing.step:.1f} ms",
            "network alone, on the same batches": f"{timing.alone:.1f} ms",
            "outside the network's forward and backward": f"{timing.share_outside_network:.1%}",
            "windows a second": f"{1e3 * timing.batch / timing.step:.1f}",
            "of the rate of matrix products here": f"{timing.flop_utilisation:.0%}",
        }
        rows += [(name if i == 0 else "", *fact) for i, fact in enumerate(facts.items())]
    return [Report("A training step", ("recipe", "part", "median"), rows, left=2)]


def coloring_part(bench: Bench) -> list[Report]:
    """The command that colours, beside decoding, network and encoding alone; on the processor."""
    photos = [photo.path for photo in find_photos(bench.data, "data")[:10]]
    rows = []
    for megapixels, count in ((1.0, 100), (12.0, 10)):
        rates = coloring.measure(photos, megapixels, count)
        rows += [
            (f"{count} of {megapixels:g} megapixels" if name == "decoding" else "", name, f"{s:.2f}")
            for name, s in rates.seconds.items()
        ]
        rows += [("", "rate, of Pillow and the network alone", f"{rates.share:.0%}"),
                 ("", "rate, of libjpeg-turbo and the network", f"{rates.share_of_turbo:.0%}"),
                 ("", "python colorize.py, whole", f"{rates.command:.2f}"),
                 ("", "of it, what importing takes", f"{rates.start:.2f}")]  # fmt: skip
    how = "" if compiled.passes else ", without the compiled passes"
    return [
        Report(f"Colouring, {rates.threads} threads{how}", ("photographs", "what", "seconds"), rows, left=2)
    ]


PARTS: dict[str, Callable[[Bench], list[Report]]] = {
    "maths": maths_part,
    "limits": limits_part,
    "growth": growth_part,
    "supply": supply_part,
    "step": step_part,
    "coloring": coloring_part,
}
