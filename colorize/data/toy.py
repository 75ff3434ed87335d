"""The studies' data: samples of a line with outliers, a linear regression, two spirals, MNIST's idx files."""

import torch
from jaxtyping import Float
from torch import Tensor


def line_with_outliers(
    samples: int = 50,
    outliers: int = 5,
    slope: float = 1.0,
    intercept: float = 2.0,
    noise: float = 0.3,
    reach: float = 8.0,
    seed: int = 0,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Samples of a straight line over [0, 10], some of them far above it.

    Args:
        samples: n, outliers included.
        outliers: how many samples are lifted, by 0.5 to 1 times `reach`.
        slope: of the line.
        intercept: of the line, in units of y.
        noise: standard deviation of the Gaussian noise on every sample.
        reach: of the farthest outlier, in units of y.
        seed: of everything random.

    Returns:
        x, evenly spaced; y as measured; y of the line itself.

    Raises:
        ValueError: if there are more outliers than samples.
    """
    if not 0 <= outliers <= samples:
        raise ValueError(f"outliers must be between 0 and {samples}, the number of samples; got {outliers}")
    generator = torch.Generator().manual_seed(seed)
    x = torch.linspace(0, 10, samples)
    line = slope * x + intercept
    y = line + noise * torch.randn(samples, generator=generator)
    lifted = torch.randperm(samples, generator=generator)[:outliers]
    y[lifted] += reach * (0.5 + 0.5 * torch.rand(outliers, generator=generator))
    return x, y, line
