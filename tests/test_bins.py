import pytest
import torch

from colorize.bins import Bins, annealed_mean, grid_centers, grid_index, srgb_centers, zhang313_centers
from colorize.color import rgb_to_lab
from tests.typecheck import unchecked


def brute_force(
    ab: torch.Tensor, centers: torch.Tensor, k: int, sigma: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """k nearest distances (n, k) ascending and the Gaussian weights, in float64."""
    distance = torch.cdist(ab.double(), centers.double()).topk(k, largest=False).values
    weight = torch.exp(-(distance**2) / (2 * sigma**2))
    return distance, weight / weight.sum(dim=1, keepdim=True)


def test_tables_have_the_published_sizes() -> None:
    assert len(srgb_centers(10)) == 261
    assert len(srgb_centers(5)) == 969
    zhang = zhang313_centers()
    assert len(zhang) == 313
    assert zhang[0].tolist() == [-90, 50]
    assert zhang[-1].tolist() == [100, 0]
    assert len(zhang.unique(dim=0)) == 313


@pytest.mark.parametrize(
    ("source", "step", "k"),
    [
        ("zhang313", 10, 5),
        ("zhang313", 10, 1),
        ("zhang313", 10, 10),
        ("srgb", 10, 5),
        ("srgb", 5, 5),
        ("srgb", 7.3, 4),
        ("srgb", 7.3, 5),
    ],
)
def test_soft_encoding_equals_brute_force_on_all_of_srgb(
    source: str, step: float, k: int, rgb_cube: torch.Tensor
) -> None:
    centers = zhang313_centers() if source == "zhang313" else srgb_centers(step)
    ab = rgb_to_lab(rgb_cube)[:, 1:]
    index, weight = Bins(centers, neighbours=k, step=step).soft_encode(ab)
    flat_ab = ab[0].flatten(1).T
    flat_index, flat_weight = index[0].flatten(1).T, weight[0].flatten(1).T
    distance, expected = brute_force(flat_ab, centers, k, 5.0)
    # Distances are compared, not indices: which of two equally near bins comes is nobody's business.
    ours = (flat_ab[:, None].double() - centers[flat_index].double()).norm(dim=2)
    torch.testing.assert_close(ours.sort(dim=1).values, distance, atol=1e-5, rtol=1e-6)
    torch.testing.assert_close(
        flat_weight.sort(dim=1).values, expected.float().sort(dim=1).values, atol=3e-6, rtol=0
    )
    assert (flat_index.sort(dim=1).values.diff(dim=1) > 0).all(), "a bin twice in a pixel"
    assert (ours[:, :1] <= ours + 1e-4).all(), "the nearest bin comes first"


def test_encoding_is_exact_outside_srgb_and_with_holes_in_the_grid() -> None:
    centers = zhang313_centers()
    centers = centers[torch.rand(len(centers)) < 0.3]
    ab = torch.rand(2, 2, 60, 60) * 258 - 129
    index, weight = Bins(centers, neighbours=5, sigma=10).soft_encode(ab)
    flat = ab.transpose(0, 1).flatten(1).T
    distance, _ = brute_force(flat, centers, 5, 10.0)
    ours = (flat[:, None] - centers[index.transpose(0, 1).flatten(1).T]).norm(dim=2).sort(dim=1).values
    torch.testing.assert_close(ours.double(), distance, atol=1e-3, rtol=1e-5)
    assert weight.isfinite().all()


def test_weights_sum_to_one_and_the_first_is_the_largest() -> None:
    index, weight = Bins(srgb_centers(10)).soft_encode(torch.randn(3, 2, 20, 20) * 40)
    assert index.shape == weight.shape == (3, 5, 20, 20)
    torch.testing.assert_close(weight.sum(dim=1), torch.ones(3, 20, 20))
    assert (weight[:, :1] >= weight).all()


def test_round_trip_error_is_the_published_one() -> None:
    torch.manual_seed(1)
    bins = Bins(zhang313_centers())
    ab = torch.randn(8, 2, 64, 64) * 15
    index, weight = bins.soft_encode(ab)
    decoded = (weight[..., None] * bins.centers[index]).sum(dim=1).movedim(-1, 1)
    assert (decoded - ab).norm(dim=1).mean() == pytest.approx(0.22, abs=0.02)
    hard = bins.centers[bins.nearest(ab)].movedim(-1, 1)
    assert (hard - ab).norm(dim=1).mean() == pytest.approx(3.83, abs=0.05)


def test_hand_computed_weights() -> None:
    bins = Bins(torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]), neighbours=2, sigma=5)
    index, weight = bins.soft_encode(torch.tensor([4.0, 0.0]).view(1, 2, 1, 1))
    assert index.flatten().tolist() == [0, 1]
    # exp(-16/50) : exp(-36/50) = 1 : exp(-0.4)
    torch.testing.assert_close(weight.flatten(), torch.tensor([0.598688, 0.401312]), atol=1e-6, rtol=0)


def test_grid_index_finds_the_nearest_grid_point() -> None:
    ab = torch.rand(1, 2, 30, 30) * 200 - 100
    centers = grid_centers(7.0)
    expected = torch.cdist(ab[0].flatten(1).T, centers).argmin(dim=1)
    assert (grid_index(ab, 7.0).flatten() == expected).all()


def test_temperature_zero_is_the_mode_and_the_limit_of_small_ones() -> None:
    centers = zhang313_centers()
    logits = torch.randn(2, 313, 5, 5) * 3
    mode = annealed_mean(logits, centers, 0)
    assert (mode == centers[logits.argmax(dim=1)].movedim(-1, 1)).all()
    torch.testing.assert_close(annealed_mean(logits, centers, 1e-4), mode, atol=1e-2, rtol=0)


def test_temperature_one_is_the_mean() -> None:
    centers = srgb_centers(10)
    logits = torch.randn(1, 261, 3, 3, dtype=torch.float64)
    share = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
    expected = (share[:, :, None] * centers.double()[None, :, :, None, None]).sum(dim=1)
    torch.testing.assert_close(annealed_mean(logits, centers, 1.0).double(), expected, atol=1e-4, rtol=0)


def test_annealing_raises_probabilities_to_the_power_of_one_over_t() -> None:
    centers = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    z = torch.tensor([0.8, 0.2])
    sharpened = z ** (1 / 0.38) / (z ** (1 / 0.38)).sum()
    ab = annealed_mean(z.log().view(1, 2, 1, 1), centers, 0.38)
    assert ab[0, 0].item() == pytest.approx(10 * sharpened[1].item(), abs=1e-4)


@pytest.mark.parametrize("temperature", [0.0, 1e-6, 0.38, 1.0])
def test_decoding_is_finite_for_huge_logits(temperature: float) -> None:
    logits = torch.full((1, 313, 2, 2), -1e4)
    logits[:, 7] = 1e4
    ab = annealed_mean(logits, zhang313_centers(), temperature)
    torch.testing.assert_close(ab, zhang313_centers()[7].view(1, 2, 1, 1).expand_as(ab), atol=1e-4, rtol=0)


def test_wrong_arguments_are_named() -> None:
    centers = zhang313_centers()
    with pytest.raises(ValueError, match=r"neighbours must be in 1\.\.313"):
        Bins(centers, neighbours=0)
    with pytest.raises(ValueError, match="sigma must be positive"):
        Bins(centers, sigma=0.0)
    with pytest.raises(ValueError, match="temperature must be 0 or more"):
        annealed_mean(torch.zeros(1, 313, 1, 1), centers, -1.0)
    with pytest.raises(ValueError, match="logits for 5 bins but 313"):
        unchecked(annealed_mean)(torch.zeros(1, 5, 1, 1), centers, 1.0)
    with pytest.raises(ValueError, match="grid step"):
        srgb_centers(0)


@pytest.mark.parametrize("step", [5.0, 10.0, 20.0])
@pytest.mark.parametrize("extra", ["none", "between", "twice"])
def test_no_step_changes_the_result(step: float, extra: str) -> None:
    centers = srgb_centers(10)
    if extra == "between":
        centers = torch.cat((centers, torch.tensor([[5.0, 5.0], [-15.0, 25.0], [31.0, 3.0]])))
    if extra == "twice":
        centers = torch.cat((centers, centers[100:110]))
    ab = torch.randn(2, 2, 40, 40) * 30
    index, _ = Bins(centers, step=step).soft_encode(ab)
    flat = ab.transpose(0, 1).flatten(1).T
    distance, _ = brute_force(flat, centers, 5, 5.0)
    found = index.transpose(0, 1).flatten(1).T
    ours = (flat[:, None].double() - centers[found].double()).norm(dim=2).sort(dim=1).values
    torch.testing.assert_close(ours, distance, atol=1e-4, rtol=1e-5)
    assert (found.sort(dim=1).values.diff(dim=1) > 0).all(), "a bin twice in a pixel"


def test_encoding_of_no_pixels_is_empty() -> None:
    bins = Bins(srgb_centers(10))
    for shape in ((0, 2, 4, 4), (2, 2, 0, 4)):
        index, weight = bins.soft_encode(torch.zeros(shape))
        assert index.shape == weight.shape == (shape[0], 5, *shape[2:])
        assert bins.nearest(torch.zeros(shape)).shape == (shape[0], *shape[2:])
