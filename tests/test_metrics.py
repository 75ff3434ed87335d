"""Metrics beside scikit-image's, torchmetrics' and figures by hand."""

from pathlib import Path

import numpy as np
import pytest
import skimage.color
import skimage.metrics
import torch
import torchmetrics.functional.image as peers
from torchvision.models import alexnet

from colorize.ciede2000 import ciede2000
from colorize.metrics import AreaUnderCurve, auc_weights, colorfulness, psnr, ssim
from colorize.perceptual import find_alexnet, load_lpips


def brute_force_auc(error: torch.Tensor, weight: torch.Tensor) -> float:
    """Counting at every threshold."""
    curve = [(weight * (error <= threshold)).sum() / weight.sum() for threshold in range(151)]
    return 100 * float(np.mean(curve))


def test_auc_equals_counting_at_every_threshold() -> None:
    predicted, target = torch.randn(2, 2, 9, 9) * 30, torch.randn(2, 2, 9, 9) * 30
    weight = torch.rand(2, 9, 9)
    error = (predicted - target).norm(dim=1).double()
    for w in (None, weight):
        metric = AreaUnderCurve()
        metric.update(predicted[:1], target[:1], None if w is None else w[:1])
        metric.update(predicted[1:], target[1:], None if w is None else w[1:])
        expected = brute_force_auc(error, torch.ones_like(error) if w is None else w.double())
        assert metric.compute().item() == pytest.approx(expected, abs=1e-3)


def test_auc_of_the_original_is_100_and_falls_with_the_error() -> None:
    target = torch.zeros(1, 2, 4, 4)
    for offset, expected in ((0.0, 100.0), (10.0, 100 * 141 / 151), (200.0, 0.0)):
        metric = AreaUnderCurve()
        metric.update(target + torch.tensor([offset, 0.0]).view(1, 2, 1, 1), target)
        assert metric.compute().item() == pytest.approx(expected, abs=1e-3)


def test_auc_weights_are_the_inverse_prior_with_a_floor() -> None:
    weights = auc_weights(torch.tensor([0.5, 0.1, 0.0]), floor=1e-3)
    torch.testing.assert_close(weights, torch.tensor([2.0, 10.0, 1000.0]))


def test_psnr_is_per_image_and_equals_skimage_and_torchmetrics() -> None:
    a, b = torch.rand(3, 3, 8, 8), torch.rand(3, 3, 8, 8)
    expected = [
        skimage.metrics.peak_signal_noise_ratio(x.numpy(), y.numpy(), data_range=1)
        for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(psnr(a, b).numpy(), expected, rtol=1e-4)
    theirs = peers.peak_signal_noise_ratio(a, b, data_range=1.0, reduction="none", dim=(1, 2, 3))
    torch.testing.assert_close(psnr(a, b), theirs)
    assert psnr(a, a).tolist() == [100.0] * 3


def test_ssim_equals_skimage() -> None:
    a = torch.nn.functional.avg_pool2d(torch.rand(2, 3, 28, 36), 5, stride=1)
    b = (a + 0.1 * torch.randn_like(a)).clamp(0, 1)
    expected = [
        skimage.metrics.structural_similarity(
            x.double().numpy(), y.double().numpy(), channel_axis=0, data_range=1,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )
        for x, y in zip(a, b, strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(ssim(a, b).numpy(), expected, rtol=1e-6)
    torch.testing.assert_close(ssim(a, a), torch.ones(2))
    with pytest.raises(ValueError, match="at least 11 x 11 pixels, got 12 x 10"):
        ssim(torch.rand(1, 3, 10, 12), torch.rand(1, 3, 10, 12))


def test_ciede2000_equals_skimage() -> None:
    scale, offset = (
        torch.tensor([100.0, 220, 220]).view(3, 1, 1),
        torch.tensor([0.0, -110, -110]).view(3, 1, 1),
    )
    first, second = (torch.rand(2, 3, 60, 60, dtype=torch.float64) * scale + offset for _ in range(2))
    second[:, :, :20] = first[:, :, :20] + torch.randn(2, 3, 20, 60)  # near colours
    first[:, 1:, 10:13] = 0  # greys, of one and of both
    second[:, 1:, 12:14] = 0
    second[:, :, 30] = first[:, :, 30]  # equal ones
    second[:, 1:, 31] = -first[:, 1:, 31]  # opposite hues
    expected = skimage.color.deltaE_ciede2000(*(x.movedim(1, -1).numpy() for x in (first, second)))
    ours = ciede2000(first, second).numpy()
    opposite = np.zeros_like(ours, dtype=bool)
    opposite[:, 31] = True  # the mean of opposite hues may be either of two
    np.testing.assert_allclose(ours[~opposite], expected[~opposite], atol=1e-4)
    in_float32 = ciede2000(first.float(), second.float()).numpy()
    np.testing.assert_allclose(in_float32[~opposite], expected[~opposite], atol=2e-3)


def test_ciede2000_of_published_pairs() -> None:
    pairs = [  # Sharma, Wu & Dalal 2005, table 1: pairs 1, 7, 17, 19, 25 and 33
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((50, 2.5, 0), (56, -27, -3), 31.9030),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((6.7747, -0.2908, -2.4247), (5.8714, -0.0985, -2.2286), 0.6377),
    ]
    for one, other, expected in pairs:
        a, b = (torch.tensor(lab, dtype=torch.float64).view(3, 1, 1) for lab in (one, other))
        assert ciede2000(a, b).item() == pytest.approx(expected, abs=5e-5)


def test_colorfulness_by_hand() -> None:
    red_and_green = torch.zeros(1, 3, 1, 2)
    red_and_green[0, 0, 0, 0] = red_and_green[0, 1, 0, 1] = 1
    # rg = 255, -255: mean 0, spread 255. yb = 127.5 twice: mean 127.5, spread 0.
    assert colorfulness(red_and_green).item() == pytest.approx(255 + 0.3 * 127.5, rel=1e-4)
    assert colorfulness(torch.full((1, 3, 4, 4), 0.4)).item() == pytest.approx(0, abs=1e-3)


def test_lpips_equals_torchmetrics_and_refuses_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = _features()
    path = tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    path.parent.mkdir(parents=True)
    torch.save({f"features.{key}": value for key, value in features.state_dict().items()}, path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert find_alexnet() == path
    monkeypatch.setattr("torchmetrics.functional.image.lpips._get_tv_model_features", lambda *_: features)
    a, b = torch.rand(2, 3, 40, 40), torch.rand(2, 3, 40, 40)
    theirs = peers.learned_perceptual_image_patch_similarity(a, b, "alex", "none", normalize=True)
    monkeypatch.undo()
    ours = load_lpips(path)
    torch.testing.assert_close(ours(a, b), theirs)
    with pytest.raises(ValueError, match="at least 31 x 31 pixels, got 30 x 40"):
        ours(torch.rand(1, 3, 40, 30), torch.rand(1, 3, 40, 30))
    path.write_bytes(b"no weights")
    with pytest.raises(ValueError, match="holds no weights of torchvision's AlexNet"):
        load_lpips(path)


def _features() -> torch.nn.Sequential:
    """AlexNet's convolutions with weights of chance; the rest of it takes seconds to make."""
    with torch.device("meta"):
        features = alexnet(weights=None).features
    features = features.to_empty(device="cpu")
    for parameter in features.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return features
