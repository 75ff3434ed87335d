"""sRGB <-> CIE Lab on tensors, and how colours outside sRGB are brought back inside.

Lab here is CIE 1976 L*a*b* for the D65 white of the 2 degree observer; cielab.py has its constants.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from colorize import compiled, srgb_tables
from colorize.cielab import EPSILON, GAMUT_SLACK, GAMUT_STEPS, KNEE, SLOPE, WHITE_XYZ, XYZ_FROM_RGB

_SRGB_TOE, _LINEAR_TOE = 0.04045, 0.0031308  # below them the sRGB curve is a line
_STRIP = 1 << 17  # pixels that are converted at a time on a CPU

_xyz_from_rgb = torch.tensor(XYZ_FROM_RGB, dtype=torch.float64)
_white = torch.tensor(WHITE_XYZ, dtype=torch.float64)
_white_scaled_from_rgb = _xyz_from_rgb / _white[:, None]  # linear RGB -> X/Xn, Y/Yn, Z/Zn
_scaled_matrix = _white_scaled_from_rgb.float().numpy()
_rgb_from_white_scaled = torch.linalg.inv(_white_scaled_from_rgb)


def srgb_to_linear(rgb: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Undo the sRGB transfer curve. Both sides in [0, 1]. Source: IEC 61966-2-1."""
    curve = _power((rgb.clamp(min=_SRGB_TOE) + 0.055).mul_(1 / 1.055), 2.4)
    return curve + (rgb.clamp(max=_SRGB_TOE) - _SRGB_TOE).mul_(1 / 12.92)


def linear_to_srgb(linear: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Apply the sRGB transfer curve. Both sides in [0, 1]. Source: IEC 61966-2-1."""
    curve = _power(linear.clamp(min=_LINEAR_TOE), 1 / 2.4).mul(1.055).sub_(0.055)
    return curve.add_((linear.clamp(max=_LINEAR_TOE) - _LINEAR_TOE).mul_(12.92))


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
    if rgb.requires_grad or torch.compiler.is_compiling():
        fx, fy, fz = _compress(_mix(_white_scaled_from_rgb, srgb_to_linear(rgb))).unbind(-3)
        return torch.stack((fy * 116 - 16, (fx - fy).mul_(500), (fy - fz).mul_(200)), dim=-3)
    lab = torch.empty(rgb.shape, dtype=rgb.dtype, device=rgb.device)
    pixels, out = (
        x.flatten(-2).reshape(rgb.shape[:-3].numel(), 3, -1 if x.numel() else 0) for x in (rgb, lab)
    )
    if compiled.passes is not None and rgb.device.type == "cpu" and rgb.dtype == torch.float32:
        _fill_lab_in_one_pass(pixels.detach().contiguous(), out)
    else:
        _fill_lab(pixels, out)
    return lab


def _fill_lab_in_one_pass(rgb: Float[Tensor, "b 3 n"], lab: Float[Tensor, "b 3 n"]) -> None:
    assert compiled.passes is not None
    n = rgb.shape[2]
    parts = min(torch.get_num_threads(), -(-rgb.shape[0] * n // _STRIP))
    work = partial(compiled.passes.rgb_to_lab, rgb.numpy(), _scaled_matrix, srgb_tables.numbers, lab.numpy())
    if parts <= 1:
        work(0, n)
        return
    ends = [n * i // parts for i in range(parts + 1)]
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(work, ends, ends[1:]))


def _fill_lab(rgb: Float[Tensor, "b 3 n"], lab: Float[Tensor, "b 3 n"]) -> None:
    """`rgb_to_lab` without gradients: on a CPU a strip of pixels at a time, all steps in the same memory,
    which stays in cache. Fresh memory for each step costs more than its arithmetic.
    """
    b, _, n = rgb.shape
    length = max(1, min(n, _STRIP) if rgb.device.type == "cpu" else n)
    pictures = max(1, _STRIP // length) if rgb.device.type == "cpu" else b
    scale = 1.055**-2.4  # of the sRGB curve, taken out of it and into the matrix
    scratch = torch.empty(min(b, pictures), 3, length, dtype=rgb.dtype, device=rgb.device)
    for i, start in itertools.product(range(0, b, pictures), range(0, n, length)):
        strip = (slice(i, i + pictures), slice(None), slice(start, start + length))
        source, toe = rgb[strip], lab[strip]  # the result's memory is the second scratch
        curve = scratch[: source.shape[0], :, : source.shape[2]]
        torch.clamp(source, min=_SRGB_TOE, out=curve).add_(0.055).log_().mul_(2.4).exp_()
        torch.clamp(source, max=_SRGB_TOE, out=toe)
        curve.add_(toe, alpha=1 / (12.92 * scale)).sub_(_SRGB_TOE / (12.92 * scale))
        red, green, blue = curve.unbind(1)
        for row, out in zip((_white_scaled_from_rgb * scale).tolist(), toe.unbind(1), strict=True):
            torch.mul(red, row[0], out=out).add_(green, alpha=row[1]).add_(blue, alpha=row[2])
        _power(torch.clamp(toe, min=EPSILON, out=curve), 1 / 3)
        fx, fy, fz = curve.add_(toe.clamp_(max=EPSILON), alpha=SLOPE).unbind(1)  # each SLOPE EPSILON too high
        lightness, a, b_ = toe.unbind(1)
        torch.mul(fy, 116, out=lightness).sub_(16 + 116 * SLOPE * EPSILON)
        torch.sub(fx, fy, out=a).mul_(500)
        torch.sub(fy, fz, out=b_).mul_(200)


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

    Chroma times 0 (grey) is inside, times 1 is outside, and bisection finds two between with the edge between
    them; from one to the other goes a line, up to where it leaves. A last step of bisection would fall to
    either side by rounding, and show. Only the pixels outside are touched.
    """
    outside = (linear.amin(dim=-3) < -GAMUT_SLACK) | (linear.amax(dim=-3) > 1 + GAMUT_SLACK)
    if not outside.any():
        return linear
    flat_l, flat_ab = (x.movedim(-3, -1)[outside].T[:, :, None] for x in (lightness, ab))  # (1 | 2) n 1
    with torch.no_grad():
        low = torch.zeros_like(flat_l)
        for k in range(1, GAMUT_STEPS + 1):
            candidate = _lab_to_linear(flat_l, flat_ab * (low + 0.5**k))
            inside = ((candidate >= -GAMUT_SLACK) & (candidate <= 1 + GAMUT_SLACK)).all(dim=0, keepdim=True)
            low = torch.where(inside, low + 0.5**k, low)
    start, end = (_lab_to_linear(flat_l, flat_ab * c) for c in (low, low + 0.5**GAMUT_STEPS))
    way = end - start
    with torch.no_grad():
        share = torch.where(way == 0, 1.0, (end.clamp(0, 1) - start) / way).amin(dim=0).clamp(0, 1)
    fitted = linear.movedim(-3, -1).clone()
    fitted[outside] = (start + share * way)[:, :, 0].T
    return fitted.movedim(-1, -3)


def _lab_to_linear(lightness: Tensor, ab: Tensor) -> Tensor:
    """Linear RGB of L* (..., 1, h, w) and a*, b* (..., 2, h, w); beyond [0, 1] for colours outside sRGB."""
    fy = (lightness + 16) / 116
    f = torch.cat((fy + ab[..., :1, :, :] / 500, fy, fy - ab[..., 1:, :, :] / 200), dim=-3)
    toe = (f.clamp(max=KNEE) - KNEE).mul_(1 / SLOPE)
    return _mix(_rgb_from_white_scaled, f.clamp(min=KNEE) ** 3 + toe)


def _compress(t: Tensor) -> Tensor:
    toe = (t.clamp(max=EPSILON) - EPSILON).mul_(SLOPE)
    return _power(t.clamp(min=EPSILON), 1 / 3) + toe


def _power(base: Tensor, exponent: float) -> Tensor:
    """base ** exponent of positive numbers; `base` is overwritten.

    Through log and exp, which are vectorised: ten times as fast as pow on CPUs, and in float32 within 1e-6.
    The curves of this file are a power plus the part of a line below a threshold, each of a clamped argument:
    `where` would cost more than either.
    """
    return base.log_().mul_(exponent).exp_()


def _mix(matrix: Tensor, channels: Tensor) -> Tensor:
    """`matrix` (m, 3) times the channel axis of `channels` (..., 3, h, w).

    Not a matrix product, which autocast would do in half precision.
    """
    x, y, z = channels.unbind(-3)
    rows = [(x * i).add_(y, alpha=j).add_(z, alpha=k) for i, j, k in matrix.tolist()]
    return torch.stack(rows, dim=-3)


def _check_three_channels(x: Tensor, name: str) -> None:
    if not x.is_floating_point() or x.ndim < 3 or x.shape[-3] != 3:
        raise ValueError(
            f"{name} must be floating point of shape (*, 3, h, w), got {x.dtype} of {tuple(x.shape)}"
        )
