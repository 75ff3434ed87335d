"""conv8, the seed network: eight 3x3 convolutions without padding."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from colorize.activations import he_gain, make_activation
from colorize.networks.base import Network

LAYERS = 8


class Conv8(Network):
    """Eight 3x3 convolutions without padding; layer k has k * Q / 8 filters, so the last one is the logits.

    A 32x32 window gives 16x16 logits: each layer takes one pixel (times its dilation) off each side. At
    inference a picture is padded, so that it comes out at its own size.

    Args:
        bins: Q.
        activation: a name of `activations.ACTIVATIONS`, behind all layers but the last.
        dropout: probability of dropping a channel's value behind each activation; survivors are scaled up.
        batch_norm: normalise between convolution and activation.
        dilations: of each layer; the receptive field is 1 + 2 * their sum.
        channel_multiple: round the hidden widths up to a multiple of it; 8 suits tensor cores.
        stride: of the last layer, i.e. of the grid of logits.

    Raises:
        ValueError: if an option is out of range.

    Source: the seed article's network; He et al. 2015 for the initialisation.
    """

    def __init__(
        self,
        bins: int,
        activation: str = "relu",
        dropout: float = 0.0,
        batch_norm: bool = True,
        dilations: Sequence[Any] = (1,) * LAYERS,  # integers, which is checked
        channel_multiple: int = 1,
        stride: int = 1,
    ) -> None:
        super().__init__()
        whole = all(isinstance(d, int) and not isinstance(d, bool) for d in dilations)
        if len(dilations) != LAYERS or not whole or min(dilations) < 1:
            raise ValueError(f"dilations must be {LAYERS} integers of 1 or more, got {list(dilations)}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {dropout}")
        if channel_multiple < 1 or stride < 1:
            raise ValueError(
                f"channel_multiple and stride must be 1 or more, got {channel_multiple} and {stride}"
            )
        self.options = {
            "activation": activation,
            "dropout": dropout,
            "batch_norm": batch_norm,
            "dilations": list(dilations),
            "channel_multiple": channel_multiple,
            "stride": stride,
        }
        self.margin = sum(dilations)
        self.stride = stride
        hidden = [
            -(-round(k * bins / LAYERS) // channel_multiple) * channel_multiple for k in range(1, LAYERS)
        ]
        widths = [1, *hidden, bins]
        layers: list[nn.Module] = []
        for k, dilation in enumerate(dilations):
            last = k == LAYERS - 1
            bias = last or not batch_norm  # the norm has a shift of its own
            layers.append(
                nn.Conv2d(
                    widths[k], widths[k + 1], 3, dilation=dilation, bias=bias, stride=stride if last else 1
                )
            )
            if last:
                break
            if batch_norm:
                layers.append(nn.BatchNorm2d(widths[k + 1]))
            layers.append(make_activation(activation, widths[k + 1]))
            if dropout:
                layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers)
        self._initialise(activation)

    def forward(self, lightness: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b q h2 w2"]:
        logits: Tensor = self.layers((lightness - 50) / 50)
        return logits

    @torch.no_grad()
    def _initialise(self, activation: str) -> None:
        convolutions = [m for m in self.modules() if isinstance(m, nn.Conv2d)]
        for k, conv in enumerate(convolutions):
            last = k == LAYERS - 1
            fan_in = conv.weight[0].numel()
            # The logits start small beside the prior in the last bias.
            nn.init.normal_(conv.weight, std=(0.1 if last else he_gain(activation)) / fan_in**0.5)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
