import math

import torch

from colorize.guided import REACH, SPREAD, guided_upsample


def test_guided_upsampling_equals_its_definition() -> None:
    h, w, stride, contrast = 7, 10, 4, 12.0
    lightness, ab = torch.rand(1, 1, h, w) * 100, torch.randn(1, 2, 2, 3) * 30
    ours = guided_upsample(ab, lightness, stride, contrast)
    for y, x in ((0, 0), (3, 5), (6, 9)):
        total, mean = 0.0, torch.zeros(2)
        for i in range(y // stride - REACH, y // stride + REACH + 1):
            for j in range(x // stride - REACH, x // stride + REACH + 1):
                ci, cj = min(max(i, 0), 1), min(max(j, 0), 2)  # beyond the border its cells go on
                cell = lightness[0, 0, ci * 4 : ci * 4 + 4, cj * 4 : cj * 4 + 4].mean()
                apart = (float(cell) - float(lightness[0, 0, y, x])) / contrast
                place = (((y + 0.5) / 4 - i - 0.5) ** 2 + ((x + 0.5) / 4 - j - 0.5) ** 2) / SPREAD**2
                weight = math.exp(-(apart**2 + place) / 2)
                total, mean = total + weight, mean + weight * ab[0, :, ci, cj]
        torch.testing.assert_close(ours[0, :, y, x], mean / total, atol=1e-3, rtol=1e-4)


def test_colours_do_not_cross_an_edge_inside_a_cell() -> None:
    lightness = torch.full((1, 1, 16, 16), 20.0)
    lightness[..., 6:] = 90  # an edge in the middle of the second column of cells
    ab = torch.zeros(1, 2, 4, 4)
    ab[:, 0, :, 2:] = 50
    red = guided_upsample(ab, lightness, 4, 8.0)[0, 0]
    assert red[:, :6].max() < 1
    assert red[:, 6:].min() > 40
