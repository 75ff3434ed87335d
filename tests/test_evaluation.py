"""Evaluation of ways to colour: figures over photographs, baselines, intervals, protocols."""

import numpy as np
import pytest
import skimage.color
import torch

from colorize.bins import Bins, zhang313_centers
from colorize.color import lab_to_rgb, rgb_to_lab
from colorize.decoding import Decoding
from colorize.evaluation import (
    BASELINES,
    Batch,
    baselines,
    evaluate,
    measure,
    network_colorers,
    print_table,
    resized_colorers,
)
from colorize.measurements import METRICS, Measurements, print_intervals
from colorize.metrics import colorfulness, psnr, ssim
from colorize.networks import make_network
from colorize.prior import color_prior, count_colors
from colorize.protocols import PROTOCOLS
from tests.test_metrics import brute_force_auc

ALL = [metric for metric in METRICS if metric != "lpips"]


@pytest.fixture
def photographs() -> torch.Tensor:
    return torch.randint(0, 256, (4, 3, 24, 24), dtype=torch.uint8)


@pytest.fixture
def bins() -> Bins:
    return Bins(zhang313_centers())


def test_evaluation_of_baselines_and_a_network(
    photographs: torch.Tensor, bins: Bins, capsys: pytest.CaptureFixture[str]
) -> None:
    prior = color_prior(count_colors([photographs]), bins)
    network = make_network("conv8", 313, stride=2).eval()
    colorers = [
        network_colorers(network, bins, {"network": (0.38, 1), "S = 0": (0.38, 0)}),
        baselines(bins, prior),
    ]
    results = evaluate(colorers, photographs.split(3), bins, prior)
    assert list(results) == ["network", "S = 0", *BASELINES]
    assert results["S = 0"] == results["gray"] != results["network"]
    assert results["original"]["auc"] == results["original"]["auc_rebalanced"] == 100
    assert results["gray"]["colorfulness"] == pytest.approx(0, abs=0.1)
    assert results["mean colour"]["auc"] > results["gray"]["auc"] - 5
    print_table(results, "noise")
    printed = capsys.readouterr().out
    assert all(name in printed for name in results)
    assert max(len(line) for line in printed.splitlines()) <= 80


def test_every_metric_by_hand(photographs: torch.Tensor, bins: Bins) -> None:
    rgb = photographs.float() / 255
    lab = rgb_to_lab(rgb)
    prior = torch.rand(313)
    prior /= prior.sum()
    found = 0.5 * lab[:, 1:] + 7
    measured = measure([lambda _: {"half": found}], [Batch("abcd", photographs)], bins, prior, ALL)
    ours = measured.values()["half"]
    error = (found - lab[:, 1:]).double().norm(dim=1)
    squares = (lab[:, 1:].movedim(1, -1).reshape(-1, 1, 2) - bins.centers).square().sum(-1)
    weight = (1 / prior.clamp(min=1e-4))[squares.argmin(-1)].double().view(error.shape)
    picture = lab_to_rgb(torch.cat((lab[:, :1], found), dim=1))
    difference = skimage.color.deltaE_ciede2000(
        *(rgb_to_lab(x).movedim(1, -1).numpy() for x in (picture, rgb))
    )
    expected = {
        "auc": brute_force_auc(error, torch.ones_like(error)),
        "auc_rebalanced": brute_force_auc(error, weight),
        "ab_rmse": error.square().mean().sqrt().item(),
        "ciede2000": difference.mean(),
        "psnr": psnr(picture, rgb).mean().item(),
        "ssim": ssim(picture, rgb).mean().item(),
        "colorfulness": colorfulness(picture).mean().item(),
        "colorfulness_difference": (colorfulness(picture) - colorfulness(rgb)).mean().item(),
        "chroma": found.norm(dim=1).mean().item(),
    }
    assert ours == pytest.approx(expected, rel=1e-4)


def test_a_random_colour_is_drawn_from_the_prior(bins: Bins) -> None:
    prior = torch.zeros(313)
    prior[[3, 200]] = torch.tensor([0.25, 0.75])
    lab = torch.zeros(1, 3, 100, 100)
    drawn = baselines(bins, prior, seed=1)(lab)["random colour"]
    first = (drawn == bins.centers[3].view(1, 2, 1, 1)).all(dim=1)
    assert first.float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert (drawn[:, 0][~first] == bins.centers[200, 0]).all()
    assert torch.equal(drawn, baselines(bins, prior, seed=1)(lab)["random colour"])
    assert not torch.equal(drawn, baselines(bins, prior, seed=2)(lab)["random colour"])


def test_pictures_of_others_are_measured_as_they_are(photographs: torch.Tensor, bins: Bins) -> None:
    prior = torch.full((313,), 1 / 313)
    other = photographs.flip(0)
    values = measure([], [Batch("abcd", photographs, {"outputs": other})], bins, prior, ALL).values()[
        "outputs"
    ]
    rgb, theirs = photographs.float() / 255, other.float() / 255
    assert values["psnr"] == pytest.approx(psnr(theirs, rgb).mean().item())
    assert values["ssim"] == pytest.approx(ssim(theirs, rgb).mean().item())
    error = (rgb_to_lab(theirs) - rgb_to_lab(rgb))[:, 1:].double().norm(dim=1)
    assert values["auc"] == pytest.approx(brute_force_auc(error, torch.ones_like(error)))


def test_ab_on_the_networks_own_grid(photographs: torch.Tensor, bins: Bins) -> None:
    prior = torch.full((313,), 1 / 313)
    coarse = (
        rgb_to_lab(photographs.float() / 255)[:, 1:].unflatten(3, (6, 4)).unflatten(2, (6, 4)).mean((3, 5))
    )
    colorers = [lambda _: {"cells": coarse + 0.5}, baselines(bins, prior)]
    values = measure(
        colorers, [Batch("abcd", photographs)], bins, prior, ["auc", "chroma"], grid_of="cells"
    ).values()
    assert values["cells"]["auc"] == pytest.approx(100 * 150 / 151), "within all thresholds but the first"
    error = coarse.norm(dim=1).double()
    assert values["gray"]["auc"] == pytest.approx(brute_force_auc(error, torch.ones_like(error)))
    drawn = bins.centers.norm(dim=1).mean().item()
    assert values["random colour"]["chroma"] == pytest.approx(drawn, rel=0.2), "of cells, not means of pixels"
    assert values["original"]["auc"] == 100


def test_intervals_cover_the_truth_and_repeat() -> None:
    """Of 100 samples of 60 photographs, the intervals of about 95 hold the mean that they were drawn by."""
    random, held = np.random.default_rng(0), 0
    for _ in range(100):
        measured = Measurements(["psnr"])
        measured.add("way", {"psnr": (torch.from_numpy(random.normal(20, 3, 60)), 1)})
        interval = measured.intervals(resamples=200)["way"]["psnr"]
        held += interval.low <= 20 <= interval.high
    assert 88 <= held <= 99
    assert (
        measured.intervals(200, seed=3) == measured.intervals(200, seed=3) != measured.intervals(200, seed=4)
    )


def test_intervals_of_pooled_figures_draw_photographs_not_pixels() -> None:
    """All 3^3 draws of three photographs, counted out, beside the bootstrap's percentiles."""
    value, weight = torch.tensor([1.0, 30, 4]), torch.tensor([10.0, 40, 5])
    measured = Measurements(["auc"])
    measured.add("way", {"auc": (value[:2], weight[:2])})
    measured.add("way", {"auc": (value[2:], weight[2:])})
    draws = torch.cartesian_prod(*[torch.arange(3)] * 3)
    every = 100 * value[draws].sum(1) / weight[draws].sum(1)
    interval = measured.intervals(resamples=4000)["way"]["auc"]
    assert interval.value == pytest.approx(100 * 35 / 55)
    assert (interval.low, interval.high) == pytest.approx((every.min().item(), every.max().item()))


def test_colouring_at_another_size_equals_the_tool() -> None:
    from tests.pictures import tiny_colorizer

    colorizer = tiny_colorizer()
    colorizer.image_size = 16
    rgb = torch.nn.functional.interpolate(torch.rand(1, 3, 8, 8), size=(48, 48), mode="bicubic").clamp(0, 1)
    decodings = {"a": Decoding(0.38)}
    with torch.inference_mode():
        ab = resized_colorers(colorizer.network, colorizer.bins, decodings, 16)(rgb_to_lab(rgb))["a"]
    ours = lab_to_rgb(torch.cat((rgb_to_lab(rgb)[:, :1], ab), dim=1))[0].movedim(0, -1).numpy()
    theirs = colorizer(rgb[0].movedim(0, -1).numpy(), temperature=0.38)
    # The tool scales sRGB of 8 bits, and this its lightness: nearly the same.
    assert np.abs(ours - theirs).mean() < 0.02


@pytest.mark.parametrize(
    ("name", "read_at", "shape", "kept"),
    [
        ("working", 32, (40, 32), slice(4, 36)),
        ("zhang16", 256, (300, 256), slice(38, 262)),
        ("val5k", 0, (500, 256), slice(122, 378)),
        ("resize", 0, (256, 256), slice(0, 256)),
        ("whole", 0, (30, 70), slice(0, 30)),
    ],
)
def test_protocols_cut_as_they_say(name: str, read_at: int, shape: tuple[int, int], kept: slice) -> None:
    rows = np.arange(shape[0]) % 256
    rgb = np.broadcast_to(rows.astype(np.uint8)[:, None, None], (*shape, 3))
    protocol = PROTOCOLS[name]
    assert protocol.read_at(32) == read_at
    cut = protocol.cut(rgb, 32)
    np.testing.assert_array_equal(cut[:, 0, 0], rows[kept])
    sides = {"working": (32, 32), "zhang16": (224, 224), "whole": (30, 70)}.get(name, (256, 256))
    assert cut.shape == (*sides, 3)


def test_the_tables_fit_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    measured = Measurements(list(METRICS))
    for way in ("temperature=0.38 saturation=1.25 vividness=0.5", "gray"):
        measured.add(way, {metric: (torch.tensor([100.0, 50.0]), 1) for metric in METRICS})
    print_intervals(measured.intervals(100), "a title that is longer than the whole terminal is wide " * 2)
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 80
