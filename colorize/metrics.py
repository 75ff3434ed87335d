"""How far coloured photographs are from the originals: area under the error curve, PSNR, colourfulness."""

import torch
import torchmetrics
from jaxtyping import Float
from torch import Tensor

AUC_LIMIT = 150  # thresholds 0, 1 .. 150 ab units, as in the paper


class AreaUnderCurve(torchmetrics.Metric):
    """Share of pixels whose ab error is within a threshold, averaged over the thresholds 0, 1 .. 150, in
    percent.

    All pixels of all photographs are pooled. With weights (1 / prior of the pixel's true bin) it is the
    rebalanced
    AuC: rare colours then count as much as grey ones.

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
        error = (predicted - target).norm(dim=1)
        within = (AUC_LIMIT + 1 - error.ceil()).clamp(min=0) / (AUC_LIMIT + 1)  # share of thresholds >= error
        weight = torch.ones_like(within) if weight is None else weight
        self.score += (within.double() * weight).sum()
        self.weight += weight.double().sum()

    def compute(self) -> Tensor:
        """AuC in [0, 100]."""
        return (100 * self.score / self.weight).float()


def auc_weights(prior: Float[Tensor, " q"], floor: float = 1e-4) -> Float[Tensor, " q"]:
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


def colorfulness(rgb: Float[Tensor, "b 3 h w"]) -> Float[Tensor, " b"]:
    """Colourfulness M3 of each photograph, RGB in [0, 1] taken to 0..255; 0 is grey, 100 extremely colourful.

    Source: Hasler & Suesstrunk 2003, with signed rg and yb as in the original.
    """
    red, green, blue = (255 * rgb).flatten(2).unbind(dim=1)
    opponents = torch.stack((red - green, (red + green) / 2 - blue), dim=1)  # b 2 n
    spread, mean = opponents.std(dim=2, unbiased=False), opponents.mean(dim=2)
    return torch.hypot(*spread.unbind(dim=1)) + 0.3 * torch.hypot(*mean.unbind(dim=1))
