"""Shapes in the package's type hints are checked at every call while tests run."""

from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

import tests.typecheck  # noqa: F401  the hook looks it up by name

_hook = install_import_hook("colorize", "tests.typecheck.check")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def sample() -> Path:
    """The sample photographs, split into train/, val/ and test/."""
    return ROOT / "data" / "sample"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def rgb_cube() -> torch.Tensor:
    """33^3 sRGB colours on a regular grid, as a picture (1, 3, 33 * 33, 33)."""
    levels = torch.linspace(0, 1, 33)
    return torch.cartesian_prod(levels, levels, levels).T.reshape(1, 3, 33 * 33, 33)
