"""CIEDE2000, the colour difference that comes nearest to what people see."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

_SEVENTH = 25.0**7


def ciede2000(first: Float[Tensor, "*b 3 h w"], second: Float[Tensor, "*b 3 h w"]) -> Float[Tensor, "*b h w"]:
    """Difference of two pictures in CIE Lab, pixel by pixel; 1 is about what can just be seen.

    All of kL, kC and kH are 1. Symmetric but for rounding; where one of the colours is grey, the mean hue is
    that of the other, as the source has it.

    Source: Sharma, Wu & Dalal 2005, "The CIEDE2000 color-difference formula", equations 2 to 22.
    """
    l1, a1, b1 = first.unbind(-3)
    l2, a2, b2 = second.unbind(-3)
    stretch = 1.5 - 0.5 * _share_of_chroma((torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2)  # 1 + G
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    h1, h2 = torch.atan2(b1, a1), torch.atan2(b2, a2)
    product = c1 * c2
    colored = product > 0

    turn = h2 - h1  # from -2 pi to 2 pi
    far = turn.abs() > math.pi
    hue_difference = torch.where(far, turn - 2 * math.pi * turn.sign(), turn)
    middle = (h1 + h2) / 2 + math.pi * far  # the short way round; a whole turn more or less is all the same
    hue = torch.where(colored, middle, h1 + h2)
    d_hue = 2 * product.sqrt() * torch.sin(hue_difference / 2)

    chroma = (c1 + c2) / 2
    t = (
        1
        - 0.17 * torch.cos(hue - math.radians(30))
        + 0.24 * torch.cos(2 * hue)
        + 0.32 * torch.cos(3 * hue + math.radians(6))
        - 0.20 * torch.cos(4 * hue - math.radians(63))
    )
    from_middle = ((l1 + l2) / 2 - 50).square()
    s_l = 1 + 0.015 * from_middle / (20 + from_middle).sqrt()
    s_c = 1 + 0.045 * chroma
    s_h = 1 + 0.015 * chroma * t
    degrees = torch.rad2deg(hue).remainder(360)
    rotation = torch.deg2rad(60 * torch.exp(-((degrees - 275) / 25).square()))
    r_t = -2 * _share_of_chroma(chroma) * torch.sin(rotation)

    x_l, x_c, x_h = (l2 - l1) / s_l, (c2 - c1) / s_c, d_hue / s_h
    return (x_l.square() + x_c.square() + x_h.square() + r_t * x_c * x_h).clamp(min=0).sqrt()


def _share_of_chroma(chroma: Tensor) -> Tensor:
    """sqrt(C^7 / (C^7 + 25^7))."""
    seventh = chroma**7
    return (seventh / (seventh + _SEVENTH)).sqrt()
