"""zhang16, the network of the paper, with the parameter names of the authors' released weights."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from colorize.networks.base import Network

AB_SCALE = 110.0  # what the authors' code multiplies the output of `model_out` by
STAGES = 7  # of convolutions, before the one that goes back to 1/4


class Zhang16(Network):
    """22 convolutional layers: down to 1/8, dilated there, and up to logits at 1/4 of the picture.

    Args:
        bins: Q; 313 in the paper.
        width: channels of the first stage; the others have 2, 4 and 8 times as many. 64 in the paper.

    Raises:
        ValueError: if the width is below 1.

    Source: Zhang, Isola & Efros 2016, figure 2; names and L* / 100 - 1/2 as in the authors' `eccv16`.
    """

    stride = 4

    def __init__(self, bins: int, width: int = 64) -> None:
        super().__init__()
        if not isinstance(width, int) or width < 1:
            raise ValueError(f"width must be an integer of 1 or more, got {width}")
        self.options = {"width": width}
        c = width
        self.model1 = _stage((1, c, c), stride=2)
        self.model2 = _stage((c, 2 * c, 2 * c), stride=2)
        self.model3 = _stage((2 * c, 4 * c, 4 * c, 4 * c), stride=2)
        self.model4 = _stage((4 * c, 8 * c, 8 * c, 8 * c))
        self.model5 = _stage((8 * c,) * 4, dilation=2)
        self.model6 = _stage((8 * c,) * 4, dilation=2)
        self.model7 = _stage((8 * c,) * 4)
        self.model8 = nn.Sequential(
            nn.ConvTranspose2d(8 * c, 4 * c, 4, stride=2, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(4 * c, 4 * c, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(4 * c, 4 * c, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(4 * c, bins, 1),
        )  # fmt: skip
        self._initialise()

    def forward(self, lightness: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b q h2 w2"]:
        x = (lightness - 50) / 100
        for k in range(1, STAGES + 2):
            x = self.get_submodule(f"model{k}")(x)
        # Twice the rounded-up eighth can be one more than the rounded-up quarter.
        return x[:, :, : (lightness.shape[2] + 3) // 4, : (lightness.shape[3] + 3) // 4]

    def min_window(self) -> int:
        return 16  # batch norm needs more than one value a channel even with a single window

    @torch.no_grad()
    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                fan_in = module.weight[0].numel() if isinstance(module, nn.Conv2d) else 4 * module.in_channels
                nn.init.normal_(module.weight, std=(2 / fan_in) ** 0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        last = self.get_submodule("model8.6")
        assert isinstance(last, nn.Conv2d)
        nn.init.normal_(last.weight, std=0.1 / last.in_channels**0.5)


def _stage(widths: tuple[int, ...], stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """3x3 convolutions with ReLU, the last one with the stride, then batch norm."""
    layers: list[nn.Module] = []
    for k in range(len(widths) - 1):
        step = stride if k == len(widths) - 2 else 1
        conv = nn.Conv2d(widths[k], widths[k + 1], 3, stride=step, padding=dilation, dilation=dilation)
        layers += [conv, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.BatchNorm2d(widths[-1]))


def from_released(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Float[Tensor, "q 2"]]:
    """The network's state and the bin centres out of the authors' released `eccv16` state dict.

    The released file holds the centres, divided by 110, as the weights of a last layer `model_out` behind a
    plain softmax. There is no temperature in it: T = 1 gives what the authors' code gives.

    Raises:
        ValueError: if the state holds no such layer or no such centres.
    """
    rest = dict(state)
    out = rest.pop("model_out.weight", None)
    if out is None or out.ndim != 4 or out.shape[0] != 2 or out.shape[2:] != (1, 1):
        got = "none" if out is None else tuple(out.shape)
        raise ValueError(f"expected the authors' eccv16 state with model_out.weight (2, q, 1, 1), got {got}")
    centers = out[:, :, 0, 0].T.float() * AB_SCALE
    if not centers.isfinite().all() or centers.abs().max() > 128:
        raise ValueError("model_out.weight times 110 must be ab bin centres within +-128")
    for name in [key for key in rest if key.endswith(".running_mean")]:
        # Files of old versions of torch do not have these counters.
        rest.setdefault(name.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    return rest, centers.contiguous()
