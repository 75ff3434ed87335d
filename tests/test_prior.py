import pytest
import torch

from colorize.bins import Bins, grid_centers, zhang313_centers
from colorize.color import rgb_to_lab
from colorize.prior import (
    Palette,
    color_prior,
    count_colors,
    is_colored,
    rebalancing_weights,
    used_grid_centers,
)

CENTERS = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [50.0, 50.0]])


def three_colours() -> Palette:
    """Four pixels: two on bin 0, one on bin 1, one 4 units from bin 0 towards bin 1."""
    return Palette(torch.tensor([[0.0, 0.0], [10.0, 0.0], [4.0, 0.0]]), torch.tensor([2, 1, 1]))


def test_counting_nearest_bins_by_hand() -> None:
    prior = color_prior(three_colours(), Bins(CENTERS, neighbours=2), smoothing="none")
    assert prior.tolist() == [0.75, 0.25, 0.0, 0.0]


def test_gaussian_smoothing_by_hand() -> None:
    # Two bins share each pixel. On bin 0: 1 and exp(-2) for one of the two bins 10 away; at 4: 1 and
    # exp(-0.4).
    prior = color_prior(three_colours(), Bins(CENTERS[[0, 1, 3]], neighbours=2, sigma=5))
    near = 1 / (1 + torch.exp(torch.tensor(-2.0)))
    at_four = 1 / (1 + torch.exp(torch.tensor(-0.4)))
    expected = (
        torch.stack((2 * near + (1 - near) + at_four, 2 * (1 - near) + near + 1 - at_four, torch.tensor(0.0)))
        / 4
    )
    torch.testing.assert_close(prior, expected, atol=1e-6, rtol=0)


def photographs(n: int, side: int = 16) -> torch.Tensor:
    """Smooth and noisy ones, so that colours occur once and often."""
    rgb = torch.nn.functional.interpolate(torch.rand(n, 3, 4, 4), side, mode="bilinear")
    rgb[::2] = torch.rand(rgb[::2].shape)
    return (rgb * 255).byte()


@pytest.mark.parametrize("smoothing", ["gaussian", "none"])
def test_counted_colours_give_the_prior_of_all_pixels(smoothing: str) -> None:
    bins, rgb = Bins(zhang313_centers()), photographs(6)
    ab = rgb_to_lab(rgb.float() / 255)[:, 1:]
    mass = torch.zeros(313, dtype=torch.float64)
    if smoothing == "gaussian":
        index, weight = bins.soft_encode(ab)
        mass.index_add_(0, index.flatten(), weight.double().flatten())
    else:
        mass.index_add_(0, bins.nearest(ab).flatten(), torch.ones(ab[:, 0].numel(), dtype=torch.float64))
    whole = color_prior(count_colors([rgb]), bins, smoothing)
    torch.testing.assert_close(whole, (mass / mass.sum()).float(), atol=1e-7, rtol=1e-5)
    assert torch.equal(color_prior(count_colors(rgb.split(2)), bins, smoothing), whole)


def test_colours_are_counted_exactly() -> None:
    rgb = photographs(4, side=9) // 60 * 60
    palette = count_colors([rgb[:3], rgb[3:]])
    blue_first = rgb.flip(1).movedim(1, -1).reshape(-1, 3)  # the order of the counters
    colours, expected = blue_first.unique(dim=0, return_counts=True)
    ab = rgb_to_lab(colours.flip(1).float().T[None, :, None] / 255)[0, 1:, 0].T
    torch.testing.assert_close(palette.ab, ab, atol=1e-3, rtol=0)
    assert palette.count.tolist() == expected.tolist()


def test_rebalancing_by_hand() -> None:
    prior = torch.tensor([0.75, 0.25, 0.0])
    weights = rebalancing_weights(prior, 0.5)
    # mixed with a uniform half over the two bins that occur: 0.625 and 0.375
    raw = torch.tensor([1 / 0.625, 1 / 0.375])
    expected = raw / (0.75 * raw[0] + 0.25 * raw[1])
    torch.testing.assert_close(weights[:2], expected)
    assert weights[2] == weights[1], "a bin that never occurs weighs as the rarest that does"


@pytest.mark.parametrize("lambda_", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_weights_are_finite_and_average_to_one(lambda_: float) -> None:
    prior = torch.rand(313) ** 8
    prior[::7] = 0
    prior /= prior.sum()
    weights = rebalancing_weights(prior, lambda_)
    assert weights.isfinite().all()
    assert (prior * weights).sum().item() == pytest.approx(1, abs=1e-5)
    by_rarity = weights[prior > 0][prior[prior > 0].argsort()]
    assert (by_rarity.diff() <= 1e-7).all(), "the rarer, the heavier"


def test_lambda_one_gives_ones() -> None:
    prior = torch.tensor([0.9, 0.1, 0.0])
    torch.testing.assert_close(rebalancing_weights(prior, 1.0), torch.ones(3))


def test_bins_of_the_data_are_those_it_uses() -> None:
    centers = used_grid_centers(three_colours(), step=10.0)
    assert centers.tolist() == [[0.0, 0.0], [10.0, 0.0]]
    assert len(grid_centers(10.0)) > 2


def test_grey_photographs_do_not_count() -> None:
    grey = torch.full((1, 3, 4, 4), 128, dtype=torch.uint8)
    red = grey.clone()
    red[0, 0, 1, 1] = 255  # where a look at one pixel in 64 does not find it
    palette = count_colors([torch.cat((grey, red)), grey])
    assert palette.count.tolist() == [15, 1]
    assert is_colored(rgb_to_lab(torch.cat((grey, red)).float() / 255)).tolist() == [0.0, 1.0]
    with pytest.raises(ValueError, match="at least one photograph with colour"):
        color_prior(count_colors([grey]), Bins(zhang313_centers()))
    with pytest.raises(ValueError, match="at least one photograph with colour"):
        used_grid_centers(count_colors([grey]), 10.0)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"lambda must be in \[0, 1\]"):
        rebalancing_weights(torch.tensor([1.0]), 1.5)
    with pytest.raises(ValueError, match="sum to 1"):
        rebalancing_weights(torch.tensor([0.4, 0.4]), 0.5)
    with pytest.raises(ValueError, match="'gaussian' or 'none'"):
        color_prior(three_colours(), Bins(zhang313_centers()), smoothing="boxcar")
