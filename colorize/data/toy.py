"""The studies' data: samples of a line with outliers, a linear regression, two spirals, MNIST's idx files."""

import gzip
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int, UInt8
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


@dataclass(frozen=True)
class Digits:
    """Handwritten digits, 28 x 28 pixels, ink 255 on 0, and what each of them is, 0 to 9."""

    images: UInt8[Tensor, "n 28 28"]
    labels: UInt8[Tensor, " n"]


def mnist(root: str | Path, download: bool = True) -> tuple[Digits, Digits]:
    """MNIST's 60,000 training and 10,000 test digits, from its idx files, gzipped or not.

    Args:
        root: folder with the files, or the one under which torchvision keeps them (MNIST/raw).
        download: let torchvision fetch them into `root` where they are missing.

    Raises:
        ValueError: if they are missing and cannot be had, or a file is no idx file of bytes.

    Source: LeCun, Cortes & Burges, The MNIST database; the idx format is described there.
    """
    splits = []
    for split in ("train", "t10k"):
        files = [_mnist_file(Path(root), f"{split}-{what}", download)
                 for what in ("images-idx3-ubyte", "labels-idx1-ubyte")]  # fmt: skip
        splits.append(Digits(*map(read_idx, files)))
    return splits[0], splits[1]


def read_idx(path: Path) -> UInt8[Tensor, "*shape"]:
    """A tensor of bytes from an idx file.

    Raises:
        ValueError: if it is not one.
    """
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    axes = content[3] if content[:3] == b"\x00\x00\x08" else 0
    shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
    values = content[4 + 4 * axes :]
    if not axes or len(values) != math.prod(shape):
        raise ValueError(f"{path} is no whole idx file of bytes")
    return torch.frombuffer(bytearray(values), dtype=torch.uint8).view(shape)


def _mnist_file(root: Path, name: str, download: bool) -> Path:
    places = [folder / f"{name}{suffix}" for folder in (root, root / "MNIST/raw") for suffix in ("", ".gz")]
    if not any(place.is_file() for place in places) and download:
        from torchvision.datasets import MNIST  # takes a second to import

        try:
            MNIST(str(root), download=True)
        except (RuntimeError, OSError) as error:
            raise ValueError(f"could not download MNIST to {root}: {error}") from error
    for place in places:
        if place.is_file():
            return place
    raise ValueError(f"there is no {name} in {root}; data.root takes the folder of MNIST's idx files")
