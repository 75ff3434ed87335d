"""Where the time of a training step goes, measured without waiting for the device; rates to compare it
with.
"""

import functools
import time
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from colorize.networks import Network

FIRST = "data, logging"  # with which a step begins
NETWORK = ("network forward", "network backward")  # the parts of a step that are the network's own


class StepClock:
    """Seconds of each part of training steps: the processor's on a CPU, those of the device's queue on
    CUDA.
    """

    def __init__(self) -> None:
        self.on_cuda = False
        self._marks: list[tuple[str, Any]] = []  # part, time of its end or CUDA event

    def mark(self, part: str) -> None:
        """Note that `part` of a step ends now. An empty one is time that belongs to no step."""
        if not self.on_cuda:
            self._marks.append((part, time.perf_counter()))
            return
        event: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        self._marks.append((part, event))

    def read(self) -> list[dict[str, float]]:
        """part -> seconds, of each step since the last reading. Waits for the device."""
        if self.on_cuda:
            torch.cuda.synchronize()
        steps: list[dict[str, float]] = []
        for (_, before), (part, now) in zip(self._marks, self._marks[1:], strict=False):
            if not part:
                continue
            if not steps or part == FIRST:
                steps.append({})
            seconds = before.elapsed_time(now) / 1e3 if self.on_cuda else now - before
            steps[-1][part] = steps[-1].get(part, 0.0) + seconds
        self._marks = self._marks[-1:]
        return steps


def network_flops(network: Network, bins: int, window: int) -> int:
    """Floating-point operations of a network for one training window, forward and backward; a multiply-add is
    two.

    Convolutions and matrix products alone are counted, and no gradient for the input, which training has no
    use for.
    """
    with torch.device("meta"):  # takes no memory and no time
        twin = type(network)(bins, **network.options)  # without the hooks of `network`
        with FlopCounterMode(display=False) as counter:
            twin(torch.zeros(1, 1, window, window)).sum().backward()
    return int(counter.get_total_flops())


def precision_dtype(precision: str) -> torch.dtype:
    """What the network computes in under a `trainer.precision`."""
    return {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision, torch.float32)


@functools.cache  # for each number of threads, since a CPU's rate depends on it
def matrix_rate(device: torch.device, dtype: torch.dtype, threads: int) -> float:
    """Operations a second in the product of two square matrices: the most that can be expected of a network
    here.

    Args:
        device: where to measure.
        dtype: of the matrices.
        threads: `torch.get_num_threads()`.
    """
    side = 8192 if device.type == "cuda" else 2048
    matrix = torch.ones(side, side, device=device, dtype=dtype)
    seconds = []
    for _ in range(4):
        clock = StepClock()
        clock.on_cuda = device.type == "cuda"
        clock.mark("")
        matrix @ matrix
        clock.mark("product")
        seconds.append(clock.read()[0]["product"])
    return 2 * side**3 / min(seconds)
