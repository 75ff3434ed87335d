"""Augmentation of batches: geometry and ageing."""

import numpy as np
import pytest
import torch

from colorize.data import Augment
from colorize.data.module import make_augment


def test_augmentation_off_is_the_photograph_itself() -> None:
    batch = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    off = Augment()
    assert off.source_side(16) == 16
    assert (off.geometry(batch, 16) == batch.float() / 255).all()
    lightness = torch.rand(3, 1, 16, 16) * 100
    assert off.age(lightness) is lightness


def test_flip_and_quarter_turns_are_exact() -> None:
    batch = torch.randint(0, 256, (64, 3, 9, 9), dtype=torch.uint8)
    x = batch.float() / 255
    assert (Augment(flip=1.0).geometry(batch, 9) == x.flip(-1)).all()
    turned = Augment(rotate90=1.0).geometry(batch, 9)
    kinds = {
        k
        for photo, out in zip(x, turned, strict=True)
        for k in range(4)
        if torch.equal(out, torch.rot90(photo, k, (1, 2)))
    }
    assert kinds == {1, 2, 3}
    share = (
        (Augment(flip=0.5).geometry(batch.repeat(20, 1, 1, 1), 9) != x.repeat(20, 1, 1, 1)).flatten(1).any(1)
    )
    assert share.float().mean().item() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    "setting", [{"scale": 0.5}, {"translate": 0.3}, {"rotate": 30}, {"scale": 0.3, "rotate": 10}]
)
def test_warps_look_at_real_pixels_and_at_the_middle(setting: dict[str, float]) -> None:
    augment = make_augment(setting)
    side = augment.source_side(32)
    ramp = torch.linspace(20, 230, side).expand(8, 3, side, side).contiguous().byte()
    out = augment.geometry(ramp, 32)
    assert out.shape == (8, 3, 32, 32)
    assert len({round(float(o[0, 0, 0]), 4) for o in out}) > 1, "each window has its own"
    # A linear ramp stays linear under scale, shift and rotation unless mirrored pixels were looked at.
    bend = out.diff(dim=-1).diff(dim=-1).abs().amax()
    assert bend < 0.02


def test_ageing_changes_lightness_within_range_and_as_set() -> None:
    lightness = torch.rand(64, 1, 32, 32) * 100
    for setting in ({"gamma": 0.5}, {"contrast": 0.5}, {"grain": 8}, {"blur": 1.5}):
        aged = make_augment(setting).age(lightness)
        assert aged.min() >= 0
        assert aged.max() <= 100
        assert (aged != lightness).flatten(1).any(1).float().mean() > 0.8, setting
    flat = torch.full((256, 1, 32, 32), 50.0)
    assert make_augment({"blur": 2}).age(flat).sub(50).abs().max() < 1e-3
    assert make_augment({"contrast": 0.5}).age(flat).sub(50).abs().max() < 1e-3
    grain = make_augment({"grain": 8}).age(flat).flatten(1).std(dim=1)
    assert grain.max().item() == pytest.approx(8, rel=0.15)
    assert grain.mean().item() == pytest.approx(4, rel=0.15)


def test_gaussian_blur_equals_scipy() -> None:
    from scipy.ndimage import gaussian_filter

    from colorize.data.augment import _gaussian_blur

    x = torch.rand(2, 1, 24, 24)
    ours = _gaussian_blur(x, torch.tensor([0.8, 1.4]), radius=6)
    for picture, out, sigma in zip(x, ours, (0.8, 1.4), strict=True):
        expected = gaussian_filter(picture[0].numpy(), sigma, mode="nearest", radius=6)
        np.testing.assert_allclose(out[0].numpy(), expected, atol=1e-5)


def test_wrong_augmentation_is_named() -> None:
    with pytest.raises(ValueError, match=r"augment has no setting flipp; it has flip, scale"):
        make_augment({"flipp": 1.0})
    with pytest.raises(ValueError, match=r"augment.flip must be in \[0, 1\]"):
        Augment(flip=2.0)
    with pytest.raises(ValueError, match=r"augment.grain must be 0"):
        Augment(grain=-1.0)
