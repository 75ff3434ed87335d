from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from colorize import joining
from colorize.color import lab_to_rgb, rgb_to_lightness
from colorize.upsampling import cubic_weights
from tests.pictures import photo, photo16


def _expected(rgb: np.ndarray, ab: np.ndarray) -> np.ndarray:
    """The same in torch, all at once and without tables."""
    h, w = rgb.shape[:2]
    top = np.iinfo(rgb.dtype).max if rgb.dtype.kind == "u" else 1
    lightness = rgb_to_lightness(torch.from_numpy(rgb / top).permute(2, 0, 1))
    planes = [Image.fromarray(plane).resize((w, h), Image.Resampling.BICUBIC) for plane in ab]
    full = torch.from_numpy(np.stack([np.asarray(plane) for plane in planes])).double()
    return lab_to_rgb(torch.cat((lightness, full))).permute(1, 2, 0).numpy() * top


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32", "grey uint8", "grey uint16"])
def test_join_is_lab_to_rgb(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb: np.ndarray[Any, Any] = photo16(150, 210) if "16" in kind else photo(150, 210)
    rgb = rgb / np.float32(255) if kind == "float32" else rgb
    rgb = np.broadcast_to(rgb[:, :, :1].copy(), rgb.shape) if "grey" in kind else rgb
    ab = np.random.default_rng(0).normal(0, 40, (2, 15, 21)).astype(np.float32)  # a third is outside sRGB
    expected = _expected(np.ascontiguousarray(rgb), ab)
    result = joining.join(rgb, ab, (0.1, 0.1))
    assert result.dtype == rgb.dtype
    error = np.abs(result - expected) / (np.iinfo(rgb.dtype).max if rgb.dtype.kind == "u" else 1)
    assert error.max() <= (1 if rgb.dtype == np.uint8 else 0.1) / 255
    np.testing.assert_array_equal(joining.join(rgb, ab, (0.1, 0.1), threads=3), result)
    monkeypatch.setattr(joining, "STRIP", 700)
    in_strips = joining.join(rgb, ab, (0.1, 0.1)).astype(np.float64)
    assert (np.abs(in_strips - result) > 1e-5).mean() < 1e-3  # sums of another order, rounded


def test_lightness_is_that_of_torch(rgb_cube: torch.Tensor) -> None:
    levels = (rgb_cube[0] * 255).round().to(torch.uint8)
    expected = rgb_to_lightness(levels.double() / 255)[0].numpy()
    for dtype, top in (("uint8", 255), ("uint16", 65535), ("float64", 1)):
        rgb = (levels.permute(1, 2, 0).numpy() * (top / 255)).astype(dtype)
        np.testing.assert_allclose(joining.lightness(rgb), expected, atol=1e-3)


def test_upsampling_is_pillows_bicubic() -> None:
    coarse = np.random.default_rng(0).normal(0, 30, (20, 31)).astype(np.float32)
    for h, w in ((333, 200), (20, 31), (7, 90), (1, 1)):
        expected = np.asarray(Image.fromarray(coarse).resize((w, h), Image.Resampling.BICUBIC))
        result = cubic_weights(h, 20 / h, 20) @ coarse @ cubic_weights(w, 31 / w, 31).T
        np.testing.assert_allclose(result, expected, atol=2e-3)
