"""How far coloured photographs are from the originals: area under the error curve, PSNR, SSIM, colourfulness.

CIEDE2000 is in ciede2000.py, LPIPS in perceptual.py.
"""

import math

import torch
import torchmetrics
from jaxtyping import Float
from torch import Tensor

AUC_LIMIT = 150  # thresholds 0, 1 .. 150 ab units, as in the paper
AUC_FLOOR = 1e-4  # the prior is clipped below at it before it is inverted
SSIM_WINDOW = 11  # pixels: a Gaussian of sigma 1.5 cut at 3.5 sigma, as in Wang et al. 2004


class AreaUnderCurve(torchmetrics.Metric):
    """Share of pixels whose ab error is within a threshold, averaged over the thresholds 0, 1 .. 150, in
    percent.

    All pixels of all photographs are pooled. With weights (1 / prior of the pixel's true bin) it is the
    rebalanced AuC: rare colours then count as much as grey ones.

    Source: Zhang, Isola & Efros 2016, section 3.1 and table 1.
    """

    score: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("score", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("weight", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def update(
        self,
        predicted: Float[Tensor, "b 2 h w"],
        target: Float[Tensor, "b 2 h w"],
        weight: Float[Tensor, "b h w"] | None = None,
    ) -> None:
        """Add pixels: predicted and true ab, and the weight of each pixel."""
        within = share_of_thresholds((predicted - target).norm(dim=1))
        weight = torch.ones_like(within) if weight is None else weight
        self.score += (within.double() * weight).sum()
        self.weight += weight.double().sum()

    def compute(self) -> Tensor:
        """AuC in [0, 100]."""
        return (100 * self.score / self.weight).float()


def share_of_thresholds(error: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The share of the thresholds 0, 1 .. 150 that an ab error is within; their mean over pixels is AuC."""
    return (AUC_LIMIT + 1 - error.ceil()).clamp(min=0) / (AUC_LIMIT + 1)


def auc_weights(prior: Float[Tensor, " q"], floor: float = AUC_FLOOR) -> Float[Tensor, " q"]:
    """1 / prior, with the prior clipped below at `floor`: the weight of each true bin in the rebalanced AuC.

    Without the floor a handful of pixels of a colour that training hardly ever saw would decide the figure.
    """
    return 1 / prior.clamp(min=floor)


def psnr(predicted: Float[Tensor, "b 3 h w"], target: Float[Tensor, "b 3 h w"]) -> Float[Tensor, " b"]:
    """Peak signal-to-noise ratio of each photograph, in dB, over RGB in [0, 1].

    To be averaged over photographs, as papers do; pooling the error over photographs gives another figure.
    Equal pictures give 100 dB instead of infinity.
    """
    error = (predicted - target).square().flatten(1).mean(dim=1)
    return -torch.log10(error.clamp(min=1e-10)) * 10


def ssim(predicted: Float[Tensor, "b 3 h w"], target: Float[Tensor, "b 3 h w"]) -> Float[Tensor, " b"]:
    """Structural similarity of each photograph, RGB in [0, 1] (data range 1), mean of the three channels.

    Gaussian window of 11 pixels, sigma 1.5, over the places where it fits: scikit-image's
    `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1)`.

    Raises:
        ValueError: if a side is shorter than the window.

    Source: Wang, Bovik, Sheikh & Simoncelli 2004.
    """
    if min(target.shape[2:]) < SSIM_WINDOW:
        h, w = target.shape[2:]
        raise ValueError(f"SSIM needs pictures of at least 11 x 11 pixels, got {w} x {h}; leave it out")
    # One by one to save memory.
    channels = zip(predicted.chunk(3, dim=1), target.chunk(3, dim=1), strict=True)
    each = [_ssim_of_channel(x.double(), y.double()) for x, y in channels]
    return torch.stack(each).mean(dim=0).to(predicted)


def _ssim_of_channel(x: Float[Tensor, "b 1 h w"], y: Float[Tensor, "b 1 h w"]) -> Float[Tensor, " b"]:
    """In float64: variances are differences of nearly equal numbers."""
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variances = _window_mean(x * x + y * y) - mean_x**2 - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    means = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return (means * (2 * covariance + c2) / (variances + c2)).flatten(1).mean(dim=1)


def _window_mean(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Means under the window, where all of it lies inside. As sums of shifted pictures, a row and a column of
    the window: torch's grouped convolutions take fifty times as long on a CPU.
    """
    bell = [
        math.exp(-0.5 * (offset / 1.5) ** 2) for offset in range(-(SSIM_WINDOW // 2), SSIM_WINDOW // 2 + 1)
    ]
    for axis in (2, 3):
        length = x.shape[axis] - SSIM_WINDOW + 1
        total = torch.zeros_like(x.narrow(axis, 0, length))
        for start, weight in enumerate(bell):
            total.add_(x.narrow(axis, start, length), alpha=weight / sum(bell))
        x = total
    return x


def colorfulness(rgb: Float[Tensor, "b 3 h w"]) -> Float[Tensor, " b"]:
    """Colourfulness M3 of each photograph, RGB in [0, 1] taken to 0..255; 0 is grey, 100 extremely colourful.

    Source: Hasler & Suesstrunk 2003, with signed rg and yb as in the original.
    """
    red, green, blue = (255 * rgb).flatten(2).unbind(dim=1)
    opponents = torch.stack((red - green, (red + green) / 2 - blue), dim=1)  # b 2 n
    spread, mean = opponents.std(dim=2, unbiased=False), opponents.mean(dim=2)
    return torch.hypot(*spread.unbind(dim=1)) + 0.3 * torch.hypot(*mean.unbind(dim=1))
