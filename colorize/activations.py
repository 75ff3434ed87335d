"""The activation functions of the articles: one table, name -> module."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn


class RReLU(nn.Module):
    """Randomized leaky ReLU: negative x become x / a, a ~ U(low, high) per element; x / ((low + high) / 2) at
    test.

    torch.nn.RReLU is another function: it draws the slope 1/a uniformly and tests with the slopes' mean, not
    with 1 over the mean of a.

    Source: Xu, Wang, Chen & Li 2015, Empirical Evaluation of Rectified Activations, section 2.4.
    """

    def __init__(self, low: float = 3.0, high: float = 8.0) -> None:
        super().__init__()
        if not 0 < low <= high:
            raise ValueError(f"rrelu needs 0 < low <= high, got {low} and {high}")
        self.low, self.high = low, high

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if self.training:
            divisor = torch.empty_like(x).uniform_(self.low, self.high)
            return torch.where(x >= 0, x, x / divisor)
        return nn.functional.leaky_relu(x, 2 / (self.low + self.high))

    def extra_repr(self) -> str:
        return f"low={self.low}, high={self.high}"


# name -> constructor from the number of channels
ACTIVATIONS: dict[str, Callable[[int], nn.Module]] = {
    "sigmoid": lambda channels: nn.Sigmoid(),
    "relu": lambda channels: nn.ReLU(),
    "lrelu": lambda channels: nn.LeakyReLU(0.01),
    "prelu": partial(nn.PReLU, init=0.25),  # a slope for each channel
    "prelu_shared": lambda channels: nn.PReLU(1, init=0.25),
    "rrelu": lambda channels: RReLU(),
    "elu": lambda channels: nn.ELU(alpha=1.0),
}
ACTIVATION_TYPES = (nn.Sigmoid, nn.ReLU, nn.LeakyReLU, nn.PReLU, RReLU, nn.ELU)


def make_activation(name: str, channels: int = 1) -> nn.Module:
    """A fresh activation module for a layer of so many channels.

    Raises:
        ValueError: if there is no activation of that name.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}; choose one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name](channels)


def he_gain(name: str) -> float:
    """Gain of He initialisation behind this activation, i.e. sqrt(2 / (1 + slope^2)) of its negative side.

    Source: He et al. 2015, Delving Deep into Rectifiers, equation 15; Glorot & Bengio 2010 for the sigmoid.
    """
    slope = {"lrelu": 0.01, "prelu": 0.25, "prelu_shared": 0.25, "rrelu": 1 / 5.5}.get(name, 0.0)
    return (
        nn.init.calculate_gain("sigmoid")
        if name == "sigmoid"
        else nn.init.calculate_gain("leaky_relu", slope)
    )
