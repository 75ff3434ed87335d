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
from colorize.images.pixels import MAX_ASPECT

Size = int | torch.SymInt
"""Known, or known only when the graph runs."""

SHARES = (1 / 500, -1 / 200)  # of a* and b*, what they add to the cube roots of X/Xn and Z/Zn

_PILLOW_BITS = 22  # behind the point of its weights; float64 holds their sums exactly
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
        offset = colorizer.decoding_offset
        self.register_buffer("offset", torch.zeros(1) if offset is None else offset.float().cpu())

    offset: Tensor

    def forward(self, rgb: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b q i j"], Float[Tensor, "2"]]:
        """Logits of sRGB in [0, 1], and how many cells of their grid go to the picture's height and width.

        Cells are no whole numbers where the grid reaches beyond the picture. The picture is resized as
        `images.resize` does it, rounded to 8 bits after each axis.
        """
        h, w = rgb.shape[-2:]
        sides = small_sides(h, w, self.size)
        h2, w2 = (side.item() for side in sides.long())
        for side in (h2, w2):
            torch._check(side >= self.size)
            torch._check(side <= self.size * MAX_ASPECT)
        levels = (rgb * 255).round().double()
        levels = _to_levels(levels @ _pillow_weights(w2, w, w / sides[1]).T)
        levels = _to_levels(_pillow_weights(h2, h, h / sides[0]) @ levels)
        y = _luminance(srgb_to_linear(levels.float() / 255))
        logits: Tensor = self.network.predict(116 * _root(y)[:, None] - 16)
        return logits.float() + self.offset[:, None, None], (sides / self.network.stride).float()


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
        to_scaled = torch.tensor(XYZ_FROM_RGB, dtype=torch.float64) / white
        self.register_buffer("rgb_from_scaled", torch.linalg.inv(to_scaled).float())

    parts: Tensor
    rgb_from_scaled: Tensor

    def forward(
        self,
        rgb: Float[Tensor, "b 3 h w"],
        logits: Float[Tensor, "b q i j"],
        cells: Float[Tensor, "2"],
        top: Int[Tensor, ""],
        height: Int[Tensor, ""],
        temperature: Float[Tensor, ""],
        saturation: Float[Tensor, ""],
    ) -> Float[Tensor, "b 3 h w"]:
        """The picture with its own lightness, coloured.

        Args:
            rgb: sRGB in [0, 1].
            logits: of the whole picture.
            cells: as `Looking` gives them.
            top: the strip's first row in the picture.
            height: of the whole picture.
            temperature: of the annealed mean; 0 is the mode.
            saturation: factor on ab.
        """
        shares = self.shares(logits, temperature, saturation)
        return self.paint(rgb, shares, cells, top, height)

    def shares(
        self, logits: Float[Tensor, "b q i j"], temperature: Float[Tensor, ""], saturation: Float[Tensor, ""]
    ) -> Float[Tensor, "2 b i j"]:
        """The annealed mean, as what it adds to the cube roots of X/Xn and Z/Zn."""
        likely = torch.exp((logits - logits.amax(dim=1, keepdim=True)) / temperature.clamp(min=_COLDEST))
        return torch.einsum("cq,bqij->cbij", self.parts * saturation, likely) / likely.sum(dim=1)

    def paint(
        self,
        rgb: Float[Tensor, "b 3 h w"],
        coarse: Float[Tensor, "2 b i j"],
        cells: Float[Tensor, "2"],
        top: Int[Tensor, ""],
        height: Int[Tensor, ""],
    ) -> Float[Tensor, "b 3 h w"]:
        """The picture with colours that `shares` gave."""
        b, _, h, w = rgb.shape
        rows = cubic_weights(h, coarse.shape[2], cells[0].double() / height, top).float()
        columns = cubic_weights(w, coarse.shape[3], cells[1].double() / w).float()
        parts = (rows @ (coarse @ columns.T)).reshape(2, b * h * w)
        light = _look_up(srgb_to_linear(_levels()), rgb)
        linear = self._into_srgb(_luminance(light).reshape(1, b * h * w), parts)
        srgb = _look_up(linear_to_srgb(_levels()), linear.clamp(0, 1))
        return srgb.reshape(3, b, h, w).movedim(0, 1)

    def _into_srgb(self, y: Float[Tensor, "1 n"], parts: Float[Tensor, "2 n"]) -> Float[Tensor, "3 n"]:
        """Linear RGB; pixels outside sRGB get the most colourful colour of their lightness and hue inside.

        The bisection of `color.lab_to_rgb`.
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
        fitted = self._linear(y, root + parts * chroma)
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
    ) -> tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b 2 i j"]]:
        """sRGB in [0, 1] with the lightness of `rgb`, grey or with colours; and the coarse ab."""
        top, height = (torch.scalar_tensor(rows, dtype=torch.int64) for rows in (0, rgb.shape[2]))
        logits, cells = self.looking(rgb)
        shares = self.painting.shares(logits, temperature, saturation)
        ab = (shares / torch.tensor(SHARES)[:, None, None, None]).movedim(0, 1)
        return self.painting.paint(rgb, shares, cells, top, height), ab


def small_sides(h: Size, w: Size, size: int) -> Float[Tensor, "2"]:
    """Height and width at which the network sees a picture, as whole numbers: those of `images.resize`."""
    # In float64, as Python computes: at a tie the last bit decides.
    sides = torch.stack([torch.scalar_tensor(side, dtype=torch.float64) for side in (h, w)])
    return (sides * (size / sides.amin(dim=0))).round().clamp(max=size * MAX_ASPECT)


def cubic_weights(
    n: Size, size: Size, step: Float[Tensor, ""], top: Int[Tensor, ""] | int = 0
) -> Float[Tensor, "n size"]:
    """`upsampling.cubic_weights` for sizes that are known only when the graph runs."""
    center = (torch.arange(n, dtype=torch.float64) + top + 0.5) * step - 0.5
    distance = (center[:, None] - torch.arange(size)).abs() / step.clamp(min=1.0)
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
    return weights / weights.sum(dim=1, keepdim=True)


def _pillow_weights(n: Size, size: Size, step: Float[Tensor, ""]) -> Float[Tensor, "n size"]:
    """Whole numbers, as Pillow has them: one rounding of a pixel more or less shows in the colours."""
    weights: Tensor = cubic_weights(n, size, step) * 2**_PILLOW_BITS
    return weights.round()


def _to_levels(sums: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    levels: Tensor = sums / 2**_PILLOW_BITS + 0.5
    return levels.floor().clamp(0, 255)


def _luminance(linear: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
    """Y/Yn of linear RGB."""
    y: Tensor = torch.tensor(XYZ_FROM_RGB[1]) @ linear.flatten(2)
    b, _, h, w = linear.shape
    return y.reshape(b, h, w)


def _root(y: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The cube root as CIE Lab takes it: (L* + 16) / 116 of Y/Yn."""
    return torch.where(y > EPSILON, y.clamp(min=EPSILON) ** (1 / 3), SLOPE * y + 16 / 116)


def _levels() -> Float[Tensor, " levels"]:
    """The middles of all steps of [0, 1] in a table, which takes a third of the time of powers."""
    return (torch.arange(_STEPS) + 0.5) / _STEPS


def _look_up(table: Float[Tensor, " levels"], x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Values of the table for x in [0, 1]."""
    return table.index_select(0, (x * (_STEPS - 1)).int().flatten()).reshape(x.shape)


def _is_inside(linear: Float[Tensor, "3 n"]) -> Tensor:
    return (linear - 0.5).abs().amax(dim=0, keepdim=True) <= 0.5 + GAMUT_SLACK
