"""What this machine could do at most: bytes copied a second. `clock.matrix_rate` is the other limit."""

import torch

from colorize.benchmarks.timing import measure


def copy_bandwidth(device: torch.device, runs: int = 9, megabytes: int = 256) -> float:
    """Bytes a second, read and written, of a large float32 copy into memory that is there already."""
    source = torch.ones(megabytes * 2**18, device=device)
    target = torch.empty_like(source)
    (timing,) = measure("copy", {"copy": lambda: target.copy_(source)}, runs, device)
    return 2 * source.nbytes / (timing.median / 1e3)


def loss_bytes(logits: torch.Tensor) -> int:
    """Bytes that a loss forward and backward has to move: logits read twice, the gradient written once."""
    return 3 * logits.nbytes
