"""From logits to ab, with all that weights or a call may set about it."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from colorize.bins import annealed_mean
from colorize.guided import guided_upsample


class Decoding(NamedTuple):
    """How logits become ab.

    Attributes:
        temperature: of the annealed mean.
        saturation: factor on ab.
        offset: what is added to the logits first, see `vividness`; None for nothing.
        guide: contrast of `guided_upsample`, which takes ab to the size of the picture; 0 for ab on the grid
            of the logits.
    """

    temperature: float
    saturation: float = 1.0
    offset: Tensor | None = None
    guide: float = 0.0


def decode(
    logits: Float[Tensor, "b q h2 w2"],
    lightness: Float[Tensor, "b 1 h w"],
    centers: Float[Tensor, "q 2"],
    how: Decoding,
    stride: int,
) -> Float[Tensor, "b 2 h3 w3"]:
    """ab of logits, on their grid or, where guided, at the size of the lightness that they came from."""
    if how.offset is not None:
        logits = logits + how.offset.to(logits)[:, None, None]
    ab = annealed_mean(logits, centers.to(logits.device), how.temperature) * how.saturation
    if how.guide and stride > 1:
        ab = guided_upsample(ab, lightness.to(ab), stride, how.guide)
    return ab
