import pytest
import torch

from colorize.bins import Bins, grid_centers, zhang313_centers
from colorize.prior import batches_to_lab, color_prior, is_colored, rebalancing_weights, used_grid_centers

CENTERS = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [50.0, 50.0]])


def three_colours() -> torch.Tensor:
    """Lab of four pixels: two on bin 0, one on bin 1, one 4 units from bin 0 towards bin 1."""
    lab = torch.full((1, 3, 2, 2), 50.0)
    lab[0, 1:] = torch.tensor([[[0.0, 0.0], [10.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
    return lab


def test_counting_nearest_bins_by_hand() -> None:
    prior = color_prior([three_colours()], Bins(CENTERS, neighbours=2), smoothing="none")
    assert prior.tolist() == [0.75, 0.25, 0.0, 0.0]


def test_gaussian_smoothing_by_hand() -> None:
    # Two bins share each pixel. On bin 0: 1 and exp(-2) for one of the two bins 10 away; at 4: 1 and
    # exp(-0.4).
    prior = color_prior([three_colours()], Bins(CENTERS[[0, 1, 3]], neighbours=2, sigma=5))
    near = 1 / (1 + torch.exp(torch.tensor(-2.0)))
    at_four = 1 / (1 + torch.exp(torch.tensor(-0.4)))
    expected = (
        torch.stack((2 * near + (1 - near) + at_four, 2 * (1 - near) + near + 1 - at_four, torch.tensor(0.0)))
        / 4
    )
    torch.testing.assert_close(prior, expected, atol=1e-6, rtol=0)


def test_batches_add_up() -> None:
    bins = Bins(zhang313_centers())
    lab = torch.rand(6, 3, 8, 8) * 60 - 30
    whole = color_prior([lab], bins)
    torch.testing.assert_close(color_prior(lab.split(2), bins), whole)
    assert whole.sum().item() == pytest.approx(1, abs=1e-6)


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
    centers = used_grid_centers([three_colours()], step=10.0)
    assert centers.tolist() == [[0.0, 0.0], [10.0, 0.0]]
    assert len(grid_centers(10.0)) > 2


def test_grey_photographs_do_not_count() -> None:
    grey = torch.full((1, 3, 4, 4), 128, dtype=torch.uint8)
    red = grey.clone()
    red[0, 0, 0, 0] = 255
    (lab,) = batches_to_lab([torch.cat((grey, red)), grey])
    assert len(lab) == 1
    assert is_colored(lab).tolist() == [1.0]
    with pytest.raises(ValueError, match="at least one photograph with colour"):
        color_prior(batches_to_lab([grey]), Bins(zhang313_centers()))


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"lambda must be in \[0, 1\]"):
        rebalancing_weights(torch.tensor([1.0]), 1.5)
    with pytest.raises(ValueError, match="sum to 1"):
        rebalancing_weights(torch.tensor([0.4, 0.4]), 0.5)
    with pytest.raises(ValueError, match="'gaussian' or 'none'"):
        color_prior([], Bins(zhang313_centers()), smoothing="boxcar")
