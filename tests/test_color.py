import numpy as np
import pytest
import skimage.color
import torch

from colorize import color
from colorize.color import lab_to_rgb, linear_to_srgb, rgb_to_lab, rgb_to_lightness, srgb_to_linear
from tests.typecheck import unchecked

pytestmark = pytest.mark.usefixtures("both_ways")


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [  # published values of the sRGB primaries and greys under D65
        ((1, 1, 1), (100.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
        ((0.5, 0.5, 0.5), (53.39, 0.0, 0.0)),
    ],
)
def test_published_anchor_values(rgb: tuple[float, ...], lab: tuple[float, ...]) -> None:
    got = rgb_to_lab(torch.tensor(rgb, dtype=torch.float32).view(3, 1, 1)).flatten()
    torch.testing.assert_close(got, torch.tensor(lab), atol=0.02, rtol=0)


def test_agrees_with_skimage_in_both_directions(rgb_cube: torch.Tensor) -> None:
    lab = rgb_to_lab(rgb_cube)[0]
    oracle = skimage.color.rgb2lab(rgb_cube[0].double().numpy(), channel_axis=0)
    np.testing.assert_allclose(lab.numpy(), oracle, atol=1e-3)
    back = skimage.color.lab2rgb(oracle, channel_axis=0)
    np.testing.assert_allclose(lab_to_rgb(torch.from_numpy(oracle)).numpy(), back, atol=1e-4)


@pytest.mark.parametrize("gamut", ["scale", "clip"])
def test_round_trip_keeps_every_srgb_colour(gamut: str) -> None:
    levels = torch.linspace(0, 1, 17)
    rgb = torch.cartesian_prod(levels, levels, levels).T.reshape(3, 17, 289)
    torch.testing.assert_close(lab_to_rgb(rgb_to_lab(rgb), gamut), rgb, atol=5e-4, rtol=0)


@pytest.mark.parametrize("shape", [(3, 7, 9), (5, 3, 7, 9), (2, 3, 3, 4, 30), (0, 3, 2, 2), (3, 0, 4)])
def test_strips_and_layouts_change_nothing(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(color, "_STRIP", 50)  # a part of one picture or some whole ones
    torch.set_num_threads(3)
    rgb = torch.rand(shape)
    with_gradients = rgb_to_lab(rgb.clone().requires_grad_()).detach()
    torch.testing.assert_close(rgb_to_lab(rgb), with_gradients, atol=2e-4, rtol=0)
    last = rgb.movedim(-3, -1).contiguous().movedim(-1, -3)
    torch.testing.assert_close(rgb_to_lab(last), with_gradients, atol=2e-4, rtol=0)


def test_lightness_alone_is_the_first_channel(rgb_cube: torch.Tensor) -> None:
    torch.testing.assert_close(rgb_to_lightness(rgb_cube), rgb_to_lab(rgb_cube)[:, :1], atol=1e-4, rtol=0)


def test_gradient_is_finite_at_black_and_matches_differences() -> None:
    black = torch.zeros(3, 1, 1, requires_grad=True)
    rgb_to_lab(black).sum().backward()
    assert black.grad is not None
    assert black.grad.isfinite().all()
    rgb = torch.rand(3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rgb_to_lab, rgb)


def test_transfer_curves_are_inverse_and_continuous() -> None:
    x = torch.linspace(0, 1, 1001, dtype=torch.float64)
    torch.testing.assert_close(linear_to_srgb(srgb_to_linear(x)), x, atol=1e-7, rtol=0)
    assert (srgb_to_linear(x).diff() > 0).all()


def test_scale_keeps_lightness_and_hue_and_takes_all_the_chroma_there_is() -> None:
    lightness = torch.linspace(2, 98, 25)
    hue = torch.linspace(0, 2 * torch.pi, 73)
    grid_l, grid_h = torch.meshgrid(lightness, hue, indexing="ij")
    lab = torch.stack((grid_l, 150 * grid_h.cos(), 150 * grid_h.sin()))
    fitted = rgb_to_lab(lab_to_rgb(lab, "scale"))
    torch.testing.assert_close(fitted[0], lab[0], atol=0.03, rtol=0)
    chroma = fitted[1:].norm(dim=0)
    off_hue = (fitted[1] * lab[2] - fitted[2] * lab[1]).abs() / 150  # distance from the ray of the hue
    assert off_hue.max() < 0.15
    wider = torch.cat((lab[:1], lab[1:] * ((chroma + 1.0) / 150)))  # one ab unit more is outside sRGB
    clipped = rgb_to_lab(lab_to_rgb(wider, "clip"))
    assert ((clipped - wider).abs().amax(dim=0) > 1e-2).float().mean() > 0.999


def test_clip_changes_lightness_where_scale_does_not() -> None:
    lab = torch.tensor([50.0, -120.0, 100.0]).view(3, 1, 1)
    assert (rgb_to_lab(lab_to_rgb(lab, "clip"))[0] - 50).abs() > 1
    assert (rgb_to_lab(lab_to_rgb(lab, "scale"))[0] - 50).abs() < 0.03


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"\(\*, 3, h, w\), got torch.uint8"):
        unchecked(rgb_to_lab)(torch.zeros(3, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"got torch.float32 of \(4, 4, 3\)"):
        unchecked(rgb_to_lab)(torch.zeros(4, 4, 3))
    with pytest.raises(ValueError, match="'scale' or 'clip'"):
        lab_to_rgb(torch.zeros(3, 1, 1), "fold")
