"""Class rebalancing when colours are decoded instead of in training: one network for every taste."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor

from colorize.prior import rebalancing_weights

REBALANCED = 0.5  # lambda of the paper, which vividness 1 stands for


def vivid_offset(
    prior: Float[Tensor, " q"], vividness: float, trained_lambda: float = 1.0
) -> Float[Tensor, " q"]:
    """What to add to the logits before they are decoded, so that rare colours count for more, or less.

    Trained with pixels weighted by w, a network learns shares that are proportional to w times the natural
    ones, i.e. logits that are higher by log w. Adding vividness * log w does the same afterwards, by any
    amount.

    Args:
        prior: the bins' share of the training pixels.
        vividness: 0 for natural shares, 1 for those of a network trained with lambda = 0.5, or anything
            between or beyond.
        trained_lambda: the lambda that the network was trained with, whose own log w is taken off first.

    Raises:
        ValueError: if the prior is no distribution or lambda outside [0, 1].
    """
    rebalanced = rebalancing_weights(prior.float(), REBALANCED).log()
    return vividness * rebalanced - rebalancing_weights(prior.float(), trained_lambda).log()


def trained_lambda(training: Mapping[str, Any]) -> float:
    """The lambda of a training, from what a weights file says about it; 1, no rebalancing, if nothing."""
    return float(((training.get("settings") or {}).get("loss") or {}).get("lambda", 1.0))
