"""How the benchmarks measure: ways taking turns, medians and spread, peak memory."""

import contextlib
import ctypes
import re
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

_PEAK_RESET = Path("/proc/self/clear_refs")  # Linux alone has it


@dataclass(frozen=True)
class Timing:
    """One way to do a task.

    Attributes:
        task, way: what was done, and how.
        median, low, high: milliseconds: of the middle run and the ends of the middle half of the runs.
        peak: bytes that the way needed on top of what was there, at its highest; None where unknown.
    """

    task: str
    way: str
    median: float
    low: float
    high: float
    peak: int | None = None


@dataclass(frozen=True)
class Way:
    """What is timed, and what is done before each run without being timed."""

    run: Callable[[], object]
    prepare: Callable[[], object] = lambda: None


def measure(
    task: str, ways: Mapping[str, Way | Callable[[], object]], runs: int, device: torch.device | None = None
) -> list[Timing]:
    """Time each way `runs` times, the ways taking turns, so that a busy moment of the machine meets all of
    them. Each runs once before, to warm up and for its peak of memory.
    """
    device = device or torch.device("cpu")
    each = {name: way if isinstance(way, Way) else Way(way) for name, way in ways.items()}
    peaks = {}
    for name, way in each.items():
        way.run()
        peaks[name] = peak_memory(way, device)
    times: dict[str, list[float]] = {name: [] for name in each}
    for _ in range(runs):
        for name, way in each.items():
            way.prepare()
            _wait(device)
            started = time.perf_counter()
            way.run()
            _wait(device)
            times[name].append(1e3 * (time.perf_counter() - started))
    quartiles = {
        name: statistics.quantiles(values, n=4, method="inclusive") for name, values in times.items()
    }
    return [
        Timing(task, name, middle, low, high, peaks[name]) for name, (low, middle, high) in quartiles.items()
    ]


def peak_memory(way: Way, device: torch.device) -> int | None:
    """Bytes that one run takes on top of what is there: of the device, or of the process, which only Linux
    tells.
    """
    way.prepare()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        way.run()
        return torch.cuda.max_memory_allocated(device) - before
    if not _PEAK_RESET.exists():
        return None
    with contextlib.suppress(AttributeError):  # a C library without it
        ctypes.CDLL(None).malloc_trim(0)  # or memory that was freed before would be taken again, unseen
    try:
        _PEAK_RESET.write_text("5", encoding="ascii")  # the peak starts anew
    except OSError:  # a container may forbid it
        return None
    before = _status("VmRSS")
    way.run()
    return max(0, _status("VmHWM") - before)


def _status(field: str) -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"{field}:\s+(\d+) kB", text)
    assert found, text
    return 1024 * int(found[1])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
