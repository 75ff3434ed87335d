"""Which temperature, vividness and saturation suit a network: judged by validation photographs."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from colorize.bins import Bins
from colorize.color import rgb_to_lab
from colorize.decoding import Decoding
from colorize.evaluation import network_colorers
from colorize.metrics import AreaUnderCurve, auc_weights
from colorize.networks import Network

CHROMA = (0.7, 1.3)  # mean chroma of results by that of the originals: neither pale nor garish


class Score(NamedTuple):
    """Raw and rebalanced AuC in percent; mean chroma as a share of the originals'."""

    auc: float
    auc_rebalanced: float
    chroma: float


@torch.inference_mode()
def scores(
    network: Network,
    bins: Bins,
    prior: Float[Tensor, " q"],
    decodings: Mapping[str, Decoding],
    batches: Iterable[UInt8[Tensor, "_ 3 _ _"]],
) -> dict[str, Score]:
    """What each decoding reaches, and "gray" beside them; the network runs once a photograph.

    Without what `evaluation.evaluate` needs pictures for, it takes a fraction of the time.
    """
    color = network_colorers(network, bins, decodings)
    weights = auc_weights(prior).to(bins.centers.device)
    names = [*decodings, "gray"]
    raw, rebalanced = ({name: AreaUnderCurve().to(weights.device) for name in names} for _ in range(2))
    chroma = dict.fromkeys([*names, "original"], 0.0)
    for batch in batches:
        lab = rgb_to_lab(batch.to(weights.device).float() / 255)
        ab, pixel_weight = lab[:, 1:], weights[bins.nearest(lab[:, 1:])]
        for name, colored in {**color(lab), "gray": torch.zeros_like(ab), "original": ab}.items():
            chroma[name] += colored.norm(dim=1).sum().item()
            if name != "original":
                raw[name].update(colored, ab)
                rebalanced[name].update(colored, ab, pixel_weight)
    return {
        name: Score(
            raw[name].compute().item(),
            rebalanced[name].compute().item(),
            chroma[name] / max(chroma["original"], 1e-9),
        )
        for name in names
    }


def best(found: Mapping[str, Score], below_gray: float) -> str | None:
    """The decoding with the highest rebalanced AuC among those whose raw AuC is at most `below_gray` below
    that of gray and whose chroma is within `CHROMA`; None if there is none.
    """
    fit = {
        name: score.auc_rebalanced
        for name, score in found.items()
        if name != "gray"
        and score.auc >= found["gray"].auc - below_gray
        and CHROMA[0] <= score.chroma <= CHROMA[1]
    }
    return max(fit, key=lambda name: fit[name], default=None)
