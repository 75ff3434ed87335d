"""What every network offers: logits of a window, of a whole picture, and the ab grid that they are compared
with.
"""

import inspect
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Network(nn.Module):
    """L* in, logits over ab bins out. Subclasses set `margin`, `stride`, `options` and define `forward`.

    Attributes:
        margin: pixels that `forward` takes off each side of its input.
        stride: input pixels to one pixel of the logits, along an axis.
        options: the constructor's arguments but for `bins`, as JSON can hold them.
    """

    margin: int = 0
    stride: int = 1
    options: dict[str, object]

    def forward(self, lightness: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b q h2 w2"]:
        """Logits of the window that is left when `margin` is taken off each side; L* in [0, 100]."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def predict(self, lightness: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b q h2 w2"]:
        """Logits of a whole picture of any size: h2 = ceil(h / stride), w2 = ceil(w / stride).

        The picture is continued by reflection, or, where it is smaller than the margin, by its border pixels.
        """
        if self.margin == 0:
            return self.forward(lightness)
        mode = "reflect" if min(lightness.shape[-2:]) > self.margin else "replicate"
        return self.forward(nn.functional.pad(lightness, [self.margin] * 4, mode=mode))

    def to_grid(self, ab: Float[Tensor, "b 2 h w"], cropped: bool = True) -> Float[Tensor, "b 2 h2 w2"]:
        """The ab (or any channels) of a window on the grid of the logits: cropped by the margin, then cell
        means.

        Args:
            ab: channels of the window, or of the whole picture if not `cropped`.
            cropped: whether the logits came from `forward` (True) or `predict` (False).
        """
        if cropped and self.margin:
            m = self.margin
            ab = ab[:, :, m : ab.shape[2] - m, m : ab.shape[3] - m]
        if self.stride == 1:
            return ab
        return nn.functional.avg_pool2d(ab, self.stride, ceil_mode=True)

    def init_last_bias(self, prior: Float[Tensor, " q"]) -> None:
        """Set the last bias to log prior, so that an untrained network predicts the prior."""
        last = [m for m in self.modules() if isinstance(m, nn.Conv2d)][-1]
        if last.bias is None or len(last.bias) != len(prior):
            raise ValueError(f"prior has {len(prior)} bins but the network has {last.out_channels}")
        with torch.no_grad():
            last.bias.copy_(prior.clamp(min=1e-8).log())

    def min_window(self) -> int:
        """The smallest side of a training window: one pixel of logits."""
        return 2 * self.margin + 1

    def output_side(self, window: int) -> int:
        """Side of the logits of a square window."""
        return math.ceil((window - 2 * self.margin) / self.stride)

    @classmethod
    def option_names(cls) -> list[str]:
        """The constructor's keywords."""
        return [name for name in inspect.signature(cls).parameters if name != "bins"]
