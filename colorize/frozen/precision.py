"""Smaller weights in frozen files: 16 bits, or 8 with a scale for each output channel.

The graph computes in float32 all the same: what is small is what is stored. ONNX Runtime widens the weights
once, when it loads the file.
"""

import copy
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from colorize.colorizer import Array, Colorizer

PRECISIONS = ("float32", "float16", "int8")


class _Float16(nn.Module):
    def forward(self, stored: Tensor) -> Tensor:
        return stored.float()

    def right_inverse(self, weight: Tensor) -> tuple[Tensor]:
        return (weight.half(),)  # parametrize lets only a tuple change the type


class _Int8(nn.Module):
    """Levels from -127 to 127 of the largest weight of each output channel."""

    def forward(self, stored: Tensor, step: Tensor) -> Tensor:
        return stored.float() * step

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        step = weight.abs().amax(dim=tuple(range(1, weight.ndim)), keepdim=True).clamp(min=1e-12) / 127
        return (weight / step).round().to(torch.int8), step


def with_precision(colorizer: Colorizer, precision: str) -> Colorizer:
    """A copy on the processor whose kernels are stored in a precision of `PRECISIONS`, and rounded to it.

    Raises:
        ValueError: if there is no such precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    smaller = copy.deepcopy(colorizer).to("cpu")
    smaller.network.to(memory_format=torch.contiguous_format).requires_grad_(False)
    if precision == "float32":
        return smaller
    for module in list(smaller.network.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            rule = _Float16() if precision == "float16" else _Int8()
            parametrize.register_parametrization(module, "weight", rule, unsafe=True)
    return smaller


def quality(exact: Colorizer, smaller: Colorizer, pictures: Iterable[Array]) -> dict[str, float]:
    """How far the pictures of `smaller` are from those of `exact`.

    Args:
        exact: with its weights as they are.
        smaller: what `with_precision` made of it.
        pictures: h w 3 of uint8.

    Returns:
        "largest" and "mean" difference in 8-bit levels over all pixels and channels; "psnr", the mean over
        pictures in dB.
    """
    largest, means, psnrs = 0.0, [], []
    for rgb in pictures:
        difference = np.abs(exact(rgb).astype(np.int16) - smaller(rgb))
        largest = max(largest, float(difference.max()))
        means.append(float(difference.mean()))
        psnrs.append(float(10 * np.log10(255**2 / max(np.square(difference).mean(), 1e-10))))
    return {"largest": largest, "mean": float(np.mean(means)), "psnr": float(np.mean(psnrs))}
