"""The studies' data: samples of a line with outliers, a linear regression, two spirals, MNIST's idx files."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor


def line_with_outliers(
    samples: int = 50,
    outliers: int = 5,
    slope: float = 1.0,
    intercept: float = 2.0,
    noise: float = 0.3,
    reach: float = 8.0,
    length: float = 10.0,
    seed: int = 0,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Samples of a straight line over [0, length], some of them far above it.

    Args:
        samples: n, outliers included.
        outliers: how many samples are lifted, by 0.5 to 1 times `reach`.
        slope: of the line.
        intercept: of the line, in units of y.
        noise: standard deviation of the Gaussian noise on every sample.
        reach: of the farthest outlier, in units of y.
        length: of the interval of x.
        seed: of everything random.

    Returns:
        x, evenly spaced; y as measured; y of the line itself.

    Raises:
        ValueError: if there are more outliers than samples.
    """
    if not 0 <= outliers <= samples:
        raise ValueError(f"outliers must be between 0 and {samples}, the number of samples; got {outliers}")
    generator = torch.Generator().manual_seed(seed)
    x = torch.linspace(0, length, samples)
    line = slope * x + intercept
    y = line + noise * torch.randn(samples, generator=generator)
    lifted = torch.randperm(samples, generator=generator)[:outliers]
    y[lifted] += reach * (0.5 + 0.5 * torch.rand(outliers, generator=generator))
    return x, y, line


def linear_regression(
    weights: Sequence[float],
    samples: int = 100,
    correlation: float = 0.0,
    noise: float = 0.3,
    intercept: float = 0.0,
    seed: int = 0,
) -> tuple[Float[Tensor, "n i"], Float[Tensor, " n"]]:
    """Samples of a linear function of Gaussian inputs of variance 1.

    Args:
        weights: of the inputs.
        samples: n.
        correlation: between any two inputs.
        noise: standard deviation of the Gaussian noise on y.
        intercept: y where all inputs are 0.
        seed: of everything random.

    Returns:
        inputs and outputs.
    """
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(samples, 1, generator=generator)
    own = torch.randn(samples, len(weights), generator=generator)
    x = correlation**0.5 * shared + (1 - correlation) ** 0.5 * own
    return x, intercept + x @ torch.tensor(weights) + noise * torch.randn(samples, generator=generator)


def wavy_surface(
    samples: int = 200, inputs: int = 8, noise: float = 0.1, seed: int = 0
) -> tuple[Float[Tensor, "n i"], Float[Tensor, "n 1"]]:
    """Samples of sin(2 x1) + x2 x3 on Gaussian inputs; the other inputs say nothing."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, inputs, generator=generator)
    y = torch.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + noise * torch.randn(samples, generator=generator)
    return x, y[:, None]


def two_spirals(
    samples: int = 200, turns: float = 1.0, noise: float = 0.02, seed: int = 0
) -> tuple[Float[Tensor, "n 2"], Int[Tensor, " n"]]:
    """Points on two spirals about the origin, within about 1 of it, and the spiral that each lies on.

    Source: the two-spirals problem of Lang & Witbrock 1988.
    """
    generator = torch.Generator().manual_seed(seed)
    radius = torch.rand(samples, generator=generator).sqrt()
    spiral = torch.arange(samples) % 2
    angle = 2 * math.pi * turns * radius + math.pi * spiral
    points = torch.stack((radius * angle.cos(), radius * angle.sin()), dim=1)
    return points + noise * torch.randn(samples, 2, generator=generator), spiral
