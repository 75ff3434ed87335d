"""unet, a compact network that sees the whole picture: down to a sixteenth, up to a quarter, logits there."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from colorize.networks.base import Network

CONTEXTS = ("none", "pool", "attention")
DEEPEST = 16  # input pixels to one of the lowest grid, along an axis


class UNet(Network):
    """Residual blocks on three grids, 1/4, 1/8 and 1/16 of the picture, with skips on the way up.

    The colour of a thing depends on what it is, so each block of the lowest grid also hears from all of the
    picture. Logits are on the 1/4 grid: eyes do not see colour any finer.

    Args:
        bins: Q.
        widths: channels on the three grids.
        down: blocks on the three grids on the way down.
        up: blocks on the 1/4 and the 1/8 grid on the way up.
        expansion: hidden channels of a block to its own, on the two coarser grids.
        context: what the lowest grid's blocks get from the whole picture: "pool" changes the channels by what
            their means over the picture say, "attention" lets every place look at all, "none" nothing.

    Raises:
        ValueError: if an option is out of range.

    Source: Ronneberger et al. 2015 for the shape; Sandler et al. 2018 for the blocks; Hu et al. 2018 for
    "pool"; Vaswani et al. 2017 for "attention".
    """

    stride = 4

    def __init__(
        self,
        bins: int,
        widths: Sequence[int] = (64, 128, 256),
        down: Sequence[int] = (2, 2, 3),
        up: Sequence[int] = (2, 1),
        expansion: int = 2,
        context: str = "pool",
    ) -> None:
        super().__init__()
        self.options = {
            "widths": list(widths),
            "down": list(down),
            "up": list(up),
            "expansion": expansion,
            "context": context,
        }
        for name, numbers, count in (("widths", widths, 3), ("down", down, 3), ("up", up, 2)):
            whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in numbers)
            if len(numbers) != count or not whole:
                raise ValueError(f"{name} must be {count} integers of 1 or more, got {list(numbers)}")
        if not isinstance(expansion, int) or expansion < 1:
            raise ValueError(f"expansion must be an integer of 1 or more, got {expansion}")
        if context not in CONTEXTS:
            raise ValueError(f"context must be one of {', '.join(CONTEXTS)}, got {context!r}")
        if context == "attention" and widths[2] % Attention.heads:
            raise ValueError(f"attention needs a last width that {Attention.heads} divides, got {widths[2]}")
        fine, middle, coarse = widths
        # A quarter of the size at once: on finer grids a layer costs more than all of the lowest one.
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(4), nn.Conv2d(16, fine, 3, padding=1, bias=False), nn.BatchNorm2d(fine)
        )
        self.down4 = nn.Sequential(*(Plain(fine) for _ in range(down[0])))
        self.to8 = _halve(fine, middle)
        self.down8 = _blocks(middle, down[1], expansion)
        self.to16 = _halve(middle, coarse)
        self.lowest = _blocks(coarse, down[2], expansion, context)
        self.from16 = nn.Conv2d(coarse, middle, 1)
        self.up8 = _blocks(middle, up[1], expansion)
        self.from8 = nn.Conv2d(middle, fine, 1)
        self.up4 = nn.Sequential(*(Plain(fine) for _ in range(up[0])))
        last = nn.Conv2d(fine, bins, 1)
        self.head = nn.Sequential(nn.BatchNorm2d(fine), nn.ReLU(inplace=True), last)
        self._initialise(last)

    def forward(self, lightness: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b q h2 w2"]:
        h, w = lightness.shape[-2:]
        x = nn.functional.pad((lightness - 50) / 50, [0, -w % 4, 0, -h % 4], mode="replicate")
        at4 = self.down4(self.stem(x))
        at8 = self.down8(self.to8(at4))
        at8 = at8 + _double(self.from16(self.lowest(self.to16(at8))), at8)
        at4 = at4 + _double(self.from8(self.up8(at8)), at4)
        logits: Tensor = self.head(self.up4(at4))
        return logits

    def min_window(self) -> int:
        return 2 * DEEPEST  # batch norm needs more than one value a channel even with a single window

    @torch.no_grad()
    def _initialise(self, last: nn.Conv2d) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, Block | Pool | Attention):
                nn.init.zeros_(module.out.weight)  # starts as the identity
        nn.init.normal_(last.weight, std=0.1 / last.in_channels**0.5)


class Plain(nn.Module):
    """x + relu(norm(3x3(x))): on the finest grid, where channels are few, it does more in less time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        changed: Tensor = self.change(x)
        return x + changed


class Block(nn.Module):
    """x + 1x1(relu(1x1(norm(3x3 a channel(x))))), whose inner 1x1 widens."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        hidden = expansion * width
        self.mix = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.Conv2d(width, hidden, 1),
            nn.ReLU(inplace=True),
        )
        self.out = nn.Conv2d(hidden, width, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        change: Tensor = self.out(self.mix(x))
        return x + change


class Pool(nn.Module):
    """Channels scaled and shifted by what their means over the picture say."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.say = nn.Sequential(nn.Conv2d(width, width // 4, 1), nn.ReLU(inplace=True))
        self.out = nn.Conv2d(width // 4, 2 * width, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        scale, shift = self.out(self.say(x.mean(dim=(2, 3), keepdim=True))).chunk(2, dim=1)
        changed: Tensor = x + x * scale + shift
        return changed


class Attention(nn.Module):
    """x + what each place reads from all places; no positions but those that convolutions see."""

    heads = 4

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.ask = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        b, c, h, w = x.shape
        query, key, value = (
            self.ask(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w).transpose(3, 4).unbind(1)
        )
        read = nn.functional.scaled_dot_product_attention(query, key, value)
        change: Tensor = self.out(read.transpose(2, 3).reshape(b, c, h, w))
        return x + change


def _blocks(width: int, count: int, expansion: int, context: str = "none") -> nn.Sequential:
    blocks: list[nn.Module] = []
    for _ in range(count):
        blocks.append(Block(width, expansion))
        if context != "none":
            blocks.append((Pool if context == "pool" else Attention)(width))
    return nn.Sequential(*blocks)


def _halve(width: int, wider: int) -> nn.Sequential:
    """To half the size, rounded up."""
    return nn.Sequential(nn.BatchNorm2d(width), nn.Conv2d(width, wider, 3, stride=2, padding=1))


def _double(x: Float[Tensor, "b c h2 w2"], like: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Each pixel four times, cut to the size of `like`: h2 = ceil(h / 2), w2 = ceil(w / 2)."""
    return nn.functional.interpolate(x, size=like.shape[2:])
