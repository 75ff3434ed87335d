"""sRGB <-> CIE Lab on tensors, and how colours outside sRGB are brought back inside.

Lab here is CIE 1976 L*a*b* for the D65 white of the 2 degree observer; cielab.py has its constants.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from colorize.cielab import EPSILON, GAMUT_SLACK, GAMUT_STEPS, KNEE, SLOPE, WHITE_XYZ, XYZ_FROM_RGB

_xyz_from_rgb = torch.tensor(XYZ_FROM_RGB, dtype=torch.float64)
_white = torch.tensor(WHITE_XYZ, dtype=torch.float64)
_white_scaled_from_rgb = _xyz_from_rgb / _white[:, None]  # linear RGB -> X/Xn, Y/Yn, Z/Zn
_rgb_from_white_scaled = torch.linalg.inv(_white_scaled_from_rgb)


def srgb_to_linear(rgb: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Undo the sRGB transfer curve. Both sides in [0, 1]. Source: IEC 61966-2-1."""
    return torch.where(rgb > 0.04045, ((rgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4, rgb / 12.92)


def linear_to_srgb(linear: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Apply the sRGB transfer curve. Both sides in [0, 1]. Source: IEC 61966-2-1."""
    curve = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, curve, 12.92 * linear)


def rgb_to_lab(rgb: Float[Tensor, "*b 3 h w"]) -> Float[Tensor, "*b 3 h w"]:
    """Convert sRGB to CIE L*a*b* (D65 white, 2 degree observer).

    Args:
        rgb: gamma-encoded sRGB in [0, 1].

    Returns:
        L* in [0, 100]; a* and b* signed, about +-110.

    Raises:
        ValueError: if `rgb` is not floating point or has no channel axis of 3.

    Source: IEC 61966-2-1; CIE 15:2004.
    """
    _check_three_channels(rgb, "rgb")
    f = _compress(_mix(_white_scaled_from_rgb, srgb_to_linear(rgb)))
    fx, fy, fz = f.unbind(-3)
    return torch.stack((116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)), dim=-3)


def rgb_to_lightness(rgb: Float[Tensor, "*b 3 h w"]) -> Float[Tensor, "*b 1 h w"]:
    """L* of `rgb_to_lab` alone, at about a third of its cost: sRGB in [0, 1] to L* in [0, 100].

    Raises:
        ValueError: if `rgb` is not floating point or has no channel axis of 3.
    """
    _check_three_channels(rgb, "rgb")
    return linear_to_lightness(srgb_to_linear(rgb))


def linear_to_lightness(linear: Float[Tensor, "*b 3 h w"]) -> Float[Tensor, "*b 1 h w"]:
    """L* in [0, 100] of linear RGB in [0, 1], for callers that undo the transfer curve by a table."""
    return 116 * _compress(_mix(_white_scaled_from_rgb[1:2], linear)) - 16


def lab_to_rgb(lab: Float[Tensor, "*b 3 h w"], gamut: str = "scale") -> Float[Tensor, "*b 3 h w"]:
    """Convert CIE L*a*b* to sRGB, with every colour brought inside sRGB.

    Args:
        lab: L* in [0, 100] (clamped to it); a* and b* signed.
        gamut: "scale" shrinks the chroma of a colour outside sRGB at constant lightness and hue until it
            fits, so that the lightness of a photograph survives; "clip" clamps R, G and B each, which moves
            all three.

    Returns:
        Gamma-encoded sRGB in [0, 1].

    Raises:
        ValueError: if `lab` is not floating point, has no channel axis of 3, or `gamut` has no such value.

    Source: IEC 61966-2-1; CIE 15:2004.
    """
    _check_three_channels(lab, "lab")
    if gamut not in ("scale", "clip"):
        raise ValueError(f"gamut must be 'scale' or 'clip', got {gamut!r}")
    lightness = lab[..., :1, :, :].clamp(0, 100)
    ab = lab[..., 1:, :, :]
    linear = _lab_to_linear(lightness, ab)
    if gamut == "scale":
        linear = _scale_into_gamut(linear, lightness, ab)
    return linear_to_srgb(linear.clamp(0, 1))


def _scale_into_gamut(linear: Tensor, lightness: Tensor, ab: Tensor) -> Tensor:
    """Replace pixels of `linear` outside [0, 1] by the most colourful ones of their lightness and hue inside.

    Chroma times 0 (grey) is inside, times 1 is outside, and bisection finds the edge; only the pixels outside
    are touched.
    """
    outside = (linear.amin(dim=-3) < -GAMUT_SLACK) | (linear.amax(dim=-3) > 1 + GAMUT_SLACK)
    if not outside.any():
        return linear
    flat_l, flat_ab = (x.movedim(-3, -1)[outside].T[:, :, None] for x in (lightness, ab))  # (1 | 2) n 1
    low = torch.zeros_like(flat_l)
    high = torch.ones_like(flat_l)
    for _ in range(GAMUT_STEPS):
        middle = (low + high) / 2
        candidate = _lab_to_linear(flat_l, flat_ab * middle)
        inside = ((candidate >= -GAMUT_SLACK) & (candidate <= 1 + GAMUT_SLACK)).all(dim=0, keepdim=True)
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    fitted = linear.movedim(-3, -1).clone()
    fitted[outside] = _lab_to_linear(flat_l, flat_ab * low)[:, :, 0].T
    return fitted.movedim(-1, -3)


def _lab_to_linear(lightness: Tensor, ab: Tensor) -> Tensor:
    """Linear RGB of L* (..., 1, h, w) and a*, b* (..., 2, h, w); beyond [0, 1] for colours outside sRGB."""
    fy = (lightness + 16) / 116
    f = torch.cat((fy + ab[..., :1, :, :] / 500, fy, fy - ab[..., 1:, :, :] / 200), dim=-3)
    return _mix(_rgb_from_white_scaled, torch.where(f > KNEE, f**3, (f - 16 / 116) / SLOPE))


def _compress(t: Tensor) -> Tensor:
    return torch.where(t > EPSILON, t.clamp(min=EPSILON) ** (1 / 3), SLOPE * t + 16 / 116)


def _mix(matrix: Tensor, channels: Tensor) -> Tensor:
    """`matrix` (m, 3) times the channel axis of `channels` (..., 3, h, w)."""
    return torch.einsum("mc,...chw->...mhw", matrix.to(channels), channels)


def _check_three_channels(x: Tensor, name: str) -> None:
    if not x.is_floating_point() or x.ndim < 3 or x.shape[-3] != 3:
        raise ValueError(
            f"{name} must be floating point of shape (*, 3, h, w), got {x.dtype} of {tuple(x.shape)}"
        )
