"""What this machine could do at most, measured: bytes copied and floating-point operations a second."""

import torch

from colorize.benchmarks.timing import measure


def copy_bandwidth(device: torch.device, runs: int = 9, megabytes: int = 256) -> float:
    """Bytes a second, read and written, of a large float32 copy into memory that is there already."""
    source = torch.ones(megabytes * 2**18, device=device)
    target = torch.empty_like(source)
    (timing,) = measure("copy", {"copy": lambda: target.copy_(source)}, runs, device)
    return 2 * source.nbytes / (timing.median / 1e3)


def matrix_rate(
    device: torch.device, dtype: torch.dtype = torch.float32, side: int = 2048, runs: int = 9
) -> float:
    """Floating-point operations a second of a large square matrix product."""
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    product = torch.empty_like(a)
    (timing,) = measure("matrix product", {"mm": lambda: torch.mm(a, b, out=product)}, runs, device)
    return 2 * side**3 / (timing.median / 1e3)


def loss_bytes(logits: torch.Tensor) -> int:
    """Bytes that a loss forward and backward has to move: logits read twice, the gradient written once."""
    return 3 * logits.nbytes
