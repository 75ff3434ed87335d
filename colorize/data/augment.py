"""Augmentation of batches on the device: geometry for photograph and colours alike, ageing for the lightness
alone.

Geometry acts on RGB before colours are encoded. Ageing (gamma, contrast, grain, blur) makes the lightness
look like an old print's while the target colours stay those of the clean photograph: that is what the network
is to recover.
"""

import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


class Augment:
    """Random changes to a batch; every setting is off at 0.

    Args:
        flip: probability of a horizontal flip.
        scale: s of a scale drawn log-uniformly from [1 / (1 + s), 1 + s].
        translate: largest shift along each axis, as a share of the window.
        rotate: largest rotation either way, in degrees.
        rotate90: probability of a quarter turn, half turn or three-quarter turn.
        gamma: g of an exponent drawn log-uniformly from [1 / (1 + g), 1 + g], on L / 100.
        contrast: c of a factor drawn from [1 - c, 1 + c], about the window's mean L.
        grain: largest standard deviation of Gaussian noise, in L units.
        blur: largest standard deviation of a Gaussian blur, in pixels.

    Raises:
        ValueError: if a setting is out of range.
    """

    def __init__(
        self,
        flip: float = 0.0,
        scale: float = 0.0,
        translate: float = 0.0,
        rotate: float = 0.0,
        rotate90: float = 0.0,
        gamma: float = 0.0,
        contrast: float = 0.0,
        grain: float = 0.0,
        blur: float = 0.0,
    ) -> None:
        for name, value in locals().items():
            if name != "self" and not value >= 0:
                raise ValueError(f"augment.{name} must be 0 (off) or more, got {value}")
        for name, share in (
            ("flip", flip),
            ("rotate90", rotate90),
            ("translate", translate),
            ("contrast", contrast),
        ):
            if share > 1:
                raise ValueError(f"augment.{name} must be in [0, 1], got {share}")
        self.flip, self.scale, self.translate, self.rotate, self.rotate90 = (
            flip,
            scale,
            translate,
            rotate,
            rotate90,
        )
        self.gamma, self.contrast, self.grain, self.blur = gamma, contrast, grain, blur
        self._warps = bool(scale or translate or rotate)

    def source_side(self, window: int) -> int:
        """Side of the window to cut so that `geometry` finds real pixels, not mirrored ones, wherever it
        looks.
        """
        if not self._warps:
            return window
        angle = math.radians(min(self.rotate, 45.0))
        return math.ceil(
            window * ((1 + self.scale) * (math.cos(angle) + math.sin(angle)) + 2 * self.translate)
        )

    def geometry(self, rgb: UInt8[Tensor, "b 3 s s"], window: int) -> Float[Tensor, "b 3 window window"]:
        """Scale, shift, rotate, crop to `window` and flip; uint8 in, [0, 1] out."""
        x = rgb.float() / 255
        b = len(x)
        if self._warps:
            x = self._warp(x, window)
        if self.flip:
            x = torch.where(_chance(b, self.flip, x), x.flip(-1), x)
        if self.rotate90:
            turn = torch.randint(1, 4, (b, 1, 1, 1), device=x.device) * _chance(b, self.rotate90, x)
            turned = x.transpose(-1, -2).flip(-1)
            half = x.flip(-1, -2)
            x = torch.where(turn == 1, turned, torch.where(turn == 2, half, x))
            x = torch.where(turn == 3, turned.flip(-1, -2), x)
        return x

    def age(self, lightness: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 1 h w"]:
        """Fade, blur and grain the lightness; L* in [0, 100] in and out."""
        x = lightness
        if self.blur:
            x = _gaussian_blur(x, _uniform(x, 0, self.blur), math.ceil(3 * self.blur))
        if self.gamma:
            exponent = torch.exp(_uniform(x, -1, 1) * math.log1p(self.gamma))
            x = 100 * (x.clamp(0, 100) / 100) ** exponent
        if self.contrast:
            mean = x.mean(dim=(2, 3), keepdim=True)
            x = mean + (x - mean) * _uniform(x, 1 - self.contrast, 1 + self.contrast)
        if self.grain:
            x = x + torch.randn_like(x) * _uniform(x, 0, self.grain)
        return x if x is lightness else x.clamp(0, 100)

    def _warp(self, x: Tensor, window: int) -> Tensor:
        """Sample a `window` out of the middle of `x` under a random similarity, bilinearly."""
        b, side = len(x), x.shape[-1]
        zoom = torch.exp(_uniform(x, -1, 1).view(b) * math.log1p(self.scale)) * (window / side)
        angle = _uniform(x, -1, 1).view(b) * math.radians(self.rotate)
        shift = (torch.rand(b, 2, device=x.device) * 2 - 1) * (2 * self.translate * window / side)
        cos, sin = zoom * torch.cos(angle), zoom * torch.sin(angle)
        matrix = torch.stack((cos, -sin, shift[:, 0], sin, cos, shift[:, 1]), dim=1).view(b, 2, 3)
        grid = torch.nn.functional.affine_grid(matrix, [b, 3, window, window], align_corners=False)
        return torch.nn.functional.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def _uniform(x: Tensor, low: float, high: float) -> Tensor:
    """One number from [low, high) for each picture, shape (b, 1, 1, 1)."""
    return torch.empty(len(x), 1, 1, 1, device=x.device).uniform_(low, high)


def _chance(b: int, probability: float, x: Tensor) -> Tensor:
    return torch.rand(b, 1, 1, 1, device=x.device) < probability


def _gaussian_blur(x: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Blur each picture by its own sigma, as two 1-D convolutions with one group a picture."""
    offset = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-(offset**2) / (2 * sigma.view(-1, 1).clamp(min=1e-3) ** 2))
    kernel = kernel / kernel.sum(dim=1, keepdim=True)  # b taps
    b = len(x)
    pad = torch.nn.functional.pad(x, [radius] * 4, mode="replicate").transpose(0, 1)  # 1 b h w
    pad = torch.nn.functional.conv2d(pad, kernel.view(b, 1, 1, -1), groups=b)
    return torch.nn.functional.conv2d(pad, kernel.view(b, 1, -1, 1), groups=b).transpose(0, 1)
