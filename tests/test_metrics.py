import numpy as np
import pytest
import skimage.metrics
import torch

from colorize.bins import Bins, zhang313_centers
from colorize.color import rgb_to_lab
from colorize.evaluation import baselines, evaluate, network_colorers, print_table
from colorize.metrics import AreaUnderCurve, auc_weights, colorfulness, psnr
from colorize.networks import make_network
from colorize.prior import color_prior, count_colors


def test_auc_equals_counting_at_every_threshold() -> None:
    predicted, target = torch.randn(2, 2, 9, 9) * 30, torch.randn(2, 2, 9, 9) * 30
    weight = torch.rand(2, 9, 9)
    error = (predicted - target).norm(dim=1).double()
    for w in (None, weight):
        pixel = torch.ones_like(error) if w is None else w.double()
        curve = [(pixel * (error <= threshold)).sum() / pixel.sum() for threshold in range(151)]
        metric = AreaUnderCurve()
        metric.update(predicted[:1], target[:1], None if w is None else w[:1])
        metric.update(predicted[1:], target[1:], None if w is None else w[1:])
        assert metric.compute().item() == pytest.approx(100 * float(np.mean(curve)), abs=1e-3)


def test_auc_of_the_original_is_100_and_falls_with_the_error() -> None:
    target = torch.zeros(1, 2, 4, 4)
    for offset, expected in ((0.0, 100.0), (10.0, 100 * 141 / 151), (200.0, 0.0)):
        metric = AreaUnderCurve()
        metric.update(target + torch.tensor([offset, 0.0]).view(1, 2, 1, 1), target)
        assert metric.compute().item() == pytest.approx(expected, abs=1e-3)


def test_auc_weights_are_the_inverse_prior_with_a_floor() -> None:
    weights = auc_weights(torch.tensor([0.5, 0.1, 0.0]), floor=1e-3)
    torch.testing.assert_close(weights, torch.tensor([2.0, 10.0, 1000.0]))


def test_psnr_is_per_image_and_equals_skimage() -> None:
    a, b = torch.rand(3, 3, 8, 8), torch.rand(3, 3, 8, 8)
    expected = [
        skimage.metrics.peak_signal_noise_ratio(x.numpy(), y.numpy(), data_range=1)
        for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(psnr(a, b).numpy(), expected, rtol=1e-4)
    assert psnr(a, a).tolist() == [100.0] * 3


def test_colorfulness_by_hand() -> None:
    red_and_green = torch.zeros(1, 3, 1, 2)
    red_and_green[0, 0, 0, 0] = red_and_green[0, 1, 0, 1] = 1
    # rg = 255, -255: mean 0, spread 255. yb = 127.5 twice: mean 127.5, spread 0.
    assert colorfulness(red_and_green).item() == pytest.approx(255 + 0.3 * 127.5, rel=1e-4)
    assert colorfulness(torch.full((1, 3, 4, 4), 0.4)).item() == pytest.approx(0, abs=1e-3)


def test_evaluation_of_baselines_and_a_network(capsys: pytest.CaptureFixture[str]) -> None:
    photographs = torch.randint(0, 256, (4, 3, 24, 24), dtype=torch.uint8)
    bins = Bins(zhang313_centers())
    prior = color_prior(count_colors([photographs]), bins)
    network = make_network("conv8", 313, stride=2).eval()
    colorers = [
        network_colorers(network, bins, {"network": (0.38, 1), "S = 0": (0.38, 0)}),
        baselines(bins, prior),
    ]
    results = evaluate(colorers, photographs.split(3), bins, prior)
    assert list(results) == ["network", "S = 0", "gray", "mean colour", "original"]
    assert results["S = 0"] == results["gray"] != results["network"]
    assert results["original"]["auc"] == results["original"]["auc_rebalanced"] == 100
    assert results["gray"]["colorfulness"] == pytest.approx(0, abs=0.1)
    assert results["mean colour"]["auc"] > results["gray"]["auc"] - 5
    ab = rgb_to_lab(photographs.float() / 255)[:, 1:]
    share = (151 - ab.norm(dim=1).ceil()).clamp(min=0) / 151
    assert results["gray"]["auc"] == pytest.approx(100 * share.mean().item(), abs=0.01)
    print_table(results, "noise")
    printed = capsys.readouterr().out
    assert all(name in printed for name in results)
    assert max(len(line) for line in printed.splitlines()) <= 80
