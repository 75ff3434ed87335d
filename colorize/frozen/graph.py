"""All that `Colorizer` does to a picture, as one graph of tensor operations that can be exported.

There is no branch on a value and no loop over tiles: sizes are tensors, and where only some pixels need work
they are gathered. `Looking` and `Painting` are its halves: the network's part, which no setting touches, and
what follows, which can be done again for other settings or strip by strip; `Whole` is both.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from colorize.cielab import EPSILON, GAMUT_SLACK, GAMUT_STEPS, KNEE, SLOPE, WHITE_XYZ, XYZ_FROM_RGB
from colorize.color import linear_to_srgb, srgb_to_linear
from colorize.colorizer import Colorizer
from colorize.frozen.resizing import cubic_weights, resize
from colorize.guided import guided_upsample

SHARES = (1 / 500, -1 / 200)  # of a* and b*, what they add to the cube roots of X/Xn and Z/Zn
_STEPS = 2**18  # of the tables: half of one is at most 2 of 65,535 levels
_COLDEST = 1e-30  # temperatures below it are the limit itself: all but the likeliest bin underflow to 0


class Looking(nn.Module):
    """From a picture to the network's logits, by way of the working size.

    Args:
        colorizer: whose network and working size are frozen.
    """

    def __init__(self, colorizer: Colorizer) -> None:
        super().__init__()
        self.network = colorizer.network
        self.size = colorizer.image_size
        self.stride = colorizer.stride

    def forward(
        self, rgb: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b q i j"], Float[Tensor, "2"], Float[Tensor, "b 1 h2 w2"]]:
        """For sRGB in [0, 1] the logits; how many cells of the ab that will come of them go to the picture's
        height and width, no whole numbers where they reach beyond it; L* as the network saw it.
        """
        levels, sides = resize(rgb, self.size)
        lightness = 116 * _root(_luminance(srgb_to_linear(levels / 255)))[:, None] - 16
        logits: Tensor = self.network.predict(lightness)
        return logits.float(), (sides / self.stride).float(), lightness


class Painting(nn.Module):
    """From a picture, or a strip of it, and its logits to the picture in colour.

    Args:
        colorizer: whose bins are frozen.
        gather: fit only the pixels outside sRGB, instead of all and then choosing; ten times less work, for
            what can run tensors whose size depends on values.
    """

    def __init__(self, colorizer: Colorizer, gather: bool = True) -> None:
        super().__init__()
        self.gather = gather
        parts = torch.tensor(SHARES, dtype=torch.float64).diag()
        self.register_buffer("parts", (parts @ colorizer.bins.centers.double().cpu().T).float())
        white = torch.tensor(WHITE_XYZ, dtype=torch.float64)[:, None]
        # What vividness adds to the logits: a part that it multiplies, and one that it does not.
        fixed, full = (torch.zeros(1),) * 2
        if colorizer.prior is not None:
            fixed, full = colorizer.offset(0.0), colorizer.offset(1.0)
        self.register_buffer("vivid", torch.stack((full - fixed, fixed)).float().cpu())
        self.guide = colorizer.guide if colorizer.network.stride > 1 else 0.0
        self.stride = colorizer.network.stride
        to_scaled = torch.tensor(XYZ_FROM_RGB, dtype=torch.float64) / white
        self.register_buffer("rgb_from_scaled", torch.linalg.inv(to_scaled).float())

    parts: Tensor
    vivid: Tensor
    rgb_from_scaled: Tensor

    def forward(
        self,
        rgb: Float[Tensor, "b 3 h w"],
        logits: Float[Tensor, "b q i j"],
        cells: Float[Tensor, "2"],
        lightness: Float[Tensor, "b 1 h2 w2"],
        top: Int[Tensor, ""],
        height: Int[Tensor, ""],
        temperature: Float[Tensor, ""],
        saturation: Float[Tensor, ""],
        vividness: Float[Tensor, ""],
    ) -> Float[Tensor, "b 3 h w"]:
        """The picture with its own lightness, coloured.

        Args:
            rgb: sRGB in [0, 1].
            logits: of the whole picture.
            cells: as `Looking` gives them.
            lightness: as `Looking` gives it.
            top: the strip's first row in the picture.
            height: of the whole picture.
            temperature: of the annealed mean; 0 is the mode.
            saturation: factor on ab.
            vividness: how much rare colours count; below 0 as the network was trained. Without a prior in the
                weights it changes nothing.
        """
        shares = self.shares(logits, lightness, temperature, saturation, vividness)
        return self.paint(rgb, shares, cells, top, height)

    def shares(
        self,
        logits: Float[Tensor, "b q i j"],
        lightness: Float[Tensor, "b 1 h2 w2"],
        temperature: Float[Tensor, ""],
        saturation: Float[Tensor, ""],
        vividness: Float[Tensor, ""],
    ) -> Float[Tensor, "b 2 i2 j2"]:
        """The annealed mean, as what it adds to the cube roots of X/Xn and Z/Zn."""
        offset = torch.where(vividness < 0, 0.0, vividness * self.vivid[0] + self.vivid[1])
        logits = logits + offset[:, None, None]
        likely = torch.exp((logits - logits.amax(dim=1, keepdim=True)) / temperature.clamp(min=_COLDEST))
        mean = torch.einsum("cq,bqij->bcij", self.parts * saturation, likely)
        mean = mean / likely.sum(dim=1, keepdim=True)
        return guided_upsample(mean, lightness, self.stride, self.guide) if self.guide else mean

    def paint(
        self,
        rgb: Float[Tensor, "b 3 h w"],
        shares: Float[Tensor, "b 2 i j"],
        cells: Float[Tensor, "2"],
        top: Int[Tensor, ""],
        height: Int[Tensor, ""],
    ) -> Float[Tensor, "b 3 h w"]:
        """The picture with colours that `shares` gave."""
        b, _, h, w = rgb.shape
        coarse = shares.movedim(1, 0)
        rows = cubic_weights(h, coarse.shape[2], cells[0].double() / height, top).float()
        columns = cubic_weights(w, coarse.shape[3], cells[1].double() / w).float()
        parts = (rows @ (coarse @ columns.T)).reshape(2, b * h * w)
        light = _look_up(srgb_to_linear(_levels()), rgb)
        linear = self._into_srgb(_luminance(light).reshape(1, b * h * w), parts)
        srgb = _look_up(linear_to_srgb(_levels()), linear.clamp(0, 1))
        return srgb.reshape(3, b, h, w).movedim(0, 1)

    def _into_srgb(self, y: Float[Tensor, "1 n"], parts: Float[Tensor, "2 n"]) -> Float[Tensor, "3 n"]:
        """Linear RGB; pixels outside sRGB get the most colourful colour of their lightness and hue inside.

        As `color.lab_to_rgb` finds it.
        """
        root = _look_up(_root(_levels()), y)
        linear = self._linear(y, root + parts)
        is_inside = _is_inside(linear)
        (outside,) = (~is_inside[0]).nonzero(as_tuple=True) if self.gather else (None,)
        if outside is not None:
            y, root, parts = y[:, outside], root[:, outside], parts[:, outside]
        chroma = torch.zeros_like(y)
        for k in range(1, GAMUT_STEPS + 1):
            more = chroma + 0.5**k
            chroma = torch.where(_is_inside(self._linear(y, root + parts * more)), more, chroma)
        start, end = (self._linear(y, root + parts * c) for c in (chroma, chroma + 0.5**GAMUT_STEPS))
        way = end - start
        share = torch.where(way == 0, 1.0, (end.clamp(0, 1) - start) / way).amin(dim=0).clamp(0, 1)
        fitted = start + share * way
        if outside is None:
            return torch.where(is_inside, linear, fitted)
        return linear.scatter(1, outside.expand(3, -1), fitted)

    def _linear(self, y: Float[Tensor, "1 n"], roots: Float[Tensor, "2 n"]) -> Float[Tensor, "3 n"]:
        """Linear RGB of Y/Yn and of the cube roots of X/Xn and Z/Zn."""
        light = roots.clamp(min=KNEE)
        ends = light * light * light + (roots - light) * (1 / SLOPE)
        return self.rgb_from_scaled @ torch.cat((ends[:1], y, ends[1:]))


class Whole(nn.Module):
    """From a picture to the same in colour.

    Args:
        colorizer: what is frozen.
        gather: as `Painting` takes it.
    """

    def __init__(self, colorizer: Colorizer, gather: bool = True) -> None:
        super().__init__()
        self.looking, self.painting = Looking(colorizer), Painting(colorizer, gather)

    def forward(
        self,
        rgb: Float[Tensor, "b 3 h w"],
        temperature: Float[Tensor, ""],
        saturation: Float[Tensor, ""],
        vividness: Float[Tensor, ""],
    ) -> tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b 2 i j"]]:
        """sRGB in [0, 1] with the lightness of `rgb`, grey or with colours; and the coarse ab."""
        top, height = (torch.scalar_tensor(rows, dtype=torch.int64) for rows in (0, rgb.shape[2]))
        logits, cells, lightness = self.looking(rgb)
        shares = self.painting.shares(logits, lightness, temperature, saturation, vividness)
        ab = shares / torch.tensor(SHARES)[:, None, None]
        return self.painting.paint(rgb, shares, cells, top, height), ab


def _luminance(linear: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
    """Y/Yn of linear RGB."""
    y: Tensor = torch.tensor(XYZ_FROM_RGB[1]) @ linear.flatten(2)
    b, _, h, w = linear.shape
    return y.reshape(b, h, w)


def _root(y: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The cube root as CIE Lab takes it: (L* + 16) / 116 of Y/Yn."""
    return torch.where(y > EPSILON, y.clamp(min=EPSILON) ** (1 / 3), SLOPE * y + 16 / 116)


def _levels() -> Float[Tensor, " levels"]:
    """The middles of all steps of [0, 1] in a table, which takes a third of the time of powers.

    Counted in two parts, which are too long for the exporter to compute what follows and store it.
    """
    coarse, fine = torch.arange(_STEPS // 16, dtype=torch.float32), torch.arange(16)
    return ((16 * coarse[:, None] + fine).flatten() + 0.5) / _STEPS


def _look_up(table: Float[Tensor, " levels"], x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Values of the table for x in [0, 1]."""
    return table.index_select(0, (x * (_STEPS - 1)).int().flatten()).reshape(x.shape)


def _is_inside(linear: Float[Tensor, "3 n"]) -> Tensor:
    return (linear - 0.5).abs().amax(dim=0, keepdim=True) <= 0.5 + GAMUT_SLACK
