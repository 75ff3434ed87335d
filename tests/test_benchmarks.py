"""That the benchmark compares ways which do the same, and how it measures; not how fast anything is."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from colorize.benchmarks import coloring, limits, maths
from colorize.benchmarks.growth import growth
from colorize.benchmarks.report import timing_report
from colorize.benchmarks.supply import supply
from colorize.benchmarks.timing import Timing, Way, measure, peak_memory
from colorize.bins import Bins, zhang313_centers
from colorize.color import rgb_to_lab

CPU = torch.device("cpu")


@pytest.mark.parametrize("task", [maths.encoding, maths.loss, maths.encoding_and_loss, maths.lab])
def test_every_way_is_timed(task: Callable[..., list[Timing]]) -> None:
    timings = task(torch.rand(2, 3, 8, 8), runs=2)
    assert len(timings) > 1
    assert timings[0].way.startswith("ours")
    assert all(0 < t.low <= t.median <= t.high for t in timings)


def test_the_peers_encode_as_we_do() -> None:
    ab = rgb_to_lab(torch.rand(2, 3, 8, 8))[:, 1:]
    index, weight = Bins(zhang313_centers()).soft_encode(ab)
    ours = torch.zeros(2, 313, 8, 8).scatter_(1, index, weight).movedim(1, -1).reshape(-1, 313)
    for encode in maths.dense_encodings(ab).values():
        torch.testing.assert_close(encode(), ours, atol=1e-4, rtol=0)


def test_all_losses_send_back_the_same_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    gradients = []

    def keep(ctx: object, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        gradients.append(grad.clone())
        return torch.zeros(()), None

    monkeypatch.setattr(maths._Network, "backward", staticmethod(keep))
    timings = maths.loss(torch.rand(2, 3, 8, 8), runs=2)
    runs = len(gradients) // len(timings)
    assert len(gradients) == runs * len(timings) == 4 * len(timings)  # to warm up, for the peak, and 2 more
    for other in gradients[-len(timings) :]:
        torch.testing.assert_close(other, gradients[-len(timings)], atol=1e-7, rtol=1e-4)


def test_what_is_prepared_is_not_timed_and_runs_before_each_run() -> None:
    calls: list[str] = []
    way = Way(lambda: calls.append("run"), lambda: calls.append("prepare"))
    measure("task", {"ours": way}, runs=2)
    assert calls == ["run"] + 3 * ["prepare", "run"]


def test_peak_memory_is_what_a_way_needs_more() -> None:
    peak = peak_memory(Way(lambda: torch.ones(64 * 2**18)), CPU)
    if peak is None:
        pytest.skip("this system does not tell a process its peak of memory")
    assert 60 <= peak / 2**20 <= 80


def test_limits_and_growth_are_numbers_of_this_machine() -> None:
    assert limits.copy_bandwidth(CPU, runs=2, megabytes=4) > 1e8
    rows = growth(CPU, runs=2, steps=(20, 10), sides=(4,), batches=(2, 3), middle=(10, 4, 2))
    assert [row[:3] for row in rows] == [(77, 4, 2), (261, 4, 2), (261, 4, 3)]
    assert all(row[3] > 0 and row[4] > 0 for row in rows)


def test_windows_from_memory_and_from_files_are_timed(sample: Path) -> None:
    ours, theirs = supply(str(sample / "test"), batch=4, side=8, image_size=16, runs=2, device=CPU)
    assert ours.way == "ours, held in memory"
    assert ours.median > 0
    assert theirs.median > 0


def test_colouring_is_measured_in_parts(sample: Path) -> None:
    photos = sorted((sample / "test").glob("*.jpg"))[:2]
    before = dict(os.environ)
    rates = coloring.measure(photos, megapixels=0.01, count=3, threads=2, rounds=1)
    assert dict(os.environ) == before
    assert rates.photographs == 3
    seconds = rates.seconds
    assert min(*seconds.values(), rates.start) > 0
    assert rates.command > seconds["coloring"]
    alone = seconds["decoding"] + seconds["network"] + seconds["encoding"]
    assert rates.share == pytest.approx(alone / seconds["coloring"])
    turbo = " by libjpeg-turbo"
    alone = seconds[f"decoding{turbo}"] + seconds["network"] + seconds[f"encoding{turbo}"]
    assert rates.share_of_turbo == pytest.approx(alone / seconds["coloring"])


def test_a_report_is_a_markdown_table_too() -> None:
    timings = [Timing("task", "ours", 2.0, 1.0, 3.0, 2**20), Timing("task", "theirs", 5.0, 4.0, 6.0)]
    lines = timing_report("Title", [timings]).markdown().splitlines()
    assert lines[0] == "## Title"
    assert lines[-2:] == [
        "| task | ours | 2.0 | 1.0 - 3.0 | 1 | 1.0 |",
        "|  | theirs | 5.0 | 4.0 - 6.0 |  | 2.5 |",
    ]
