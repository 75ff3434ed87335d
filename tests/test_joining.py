from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from colorize import joining, joining_numpy
from colorize.color import lab_to_rgb, rgb_to_lightness
from colorize.images import resize
from colorize.upsampling import cubic_taps, cubic_weights
from tests.pictures import photo, photo16

pytestmark = pytest.mark.usefixtures("both_ways")


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
    own = rgb.copy()  # contiguous, so that grey is not known to be grey; and written over
    copied = joining.join(own, ab, (0.1, 0.1))
    assert joining.join(own, ab, (0.1, 0.1), out=own) is own
    np.testing.assert_array_equal(own, copied)
    for module in (joining, joining_numpy):
        monkeypatch.setattr(module, "STRIP", 700)
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


def test_weights_without_zeros_are_the_same() -> None:
    for pixels, step, size in ((333, 20 / 333, 20), (7, 31 / 7, 31), (1, 20.0, 20), (5, 0.2, 1)):
        first, near = cubic_taps(pixels, step, size)
        full = np.zeros((pixels, size), np.float32)
        np.put_along_axis(full, first[:, None] + np.arange(near.shape[1]), near, axis=1)
        np.testing.assert_array_equal(full, cubic_weights(pixels, step, size))


@pytest.mark.parametrize("grey", [False, True])
def test_means_of_squares_are_pillows(grey: bool) -> None:
    for h, w, shorter in ((300, 400, 20), (299, 401, 30), (64, 900, 9), (2000, 61, 5)):
        rgb = photo(h, w)
        rgb = np.broadcast_to(rgb[:, :, :1].copy(), rgb.shape) if grey else rgb
        result = resize(rgb, shorter)
        h2, w2 = result.shape[:2]
        factor = max(1, min(h // h2, w // w2) // 3)
        image = Image.fromarray(np.ascontiguousarray(rgb)).reduce(factor)
        box = (0, 0, w / factor, h / factor)
        expected = np.asarray(image.resize((w2, h2), Image.Resampling.BICUBIC, box))
        np.testing.assert_array_equal(result, expected)
