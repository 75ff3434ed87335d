"""Metrics of ways to colour the same photographs, beside the baselines that any of them has to beat."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from colorize.bins import Bins
from colorize.ciede2000 import ciede2000
from colorize.color import lab_to_rgb, rgb_to_lab
from colorize.decoding import Decoding, decode
from colorize.measurements import COLUMNS, Measurements, print_table
from colorize.metrics import AUC_FLOOR, auc_weights, colorfulness, psnr, share_of_thresholds, ssim
from colorize.networks import Network
from colorize.perceptual import Lpips

BASELINES = ("gray", "mean colour", "random colour", "original")

# Lab of photographs -> name -> their ab, one for each way to colour them. Only L may be used.
Colorers = Callable[[Float[Tensor, "b 3 h w"]], Mapping[str, Float[Tensor, "b 2 h2 w2"]]]


class Batch(NamedTuple):
    """Photographs of one size, and what others made of them."""

    names: Sequence[str]
    rgb: UInt8[Tensor, "b 3 h w"]
    outputs: Mapping[str, UInt8[Tensor, "b 3 h w"]] = {}


# Called with each batch, the pictures of each way (RGB in [0, 1]) and what was measured so far.
Watcher = Callable[[Batch, Mapping[str, Float[Tensor, "b 3 h w"]], Measurements], None]


def network_colorers(
    network: Network, bins: Bins, decodings: Mapping[str, Decoding | tuple[float, float]]
) -> Colorers:
    """Colour by a network, which runs once for all decodings: name -> `Decoding`, or its temperature and
    saturation.
    """
    from colorize.module import upsample

    def color(lab: Tensor) -> dict[str, Tensor]:
        lightness = lab[:, :1]
        logits = network.predict(lightness)
        return {
            name: upsample(decode(logits, lightness, bins.centers, Decoding(*how), network.stride), lab)
            for name, how in decodings.items()
        }

    return color


def resized_colorers(
    network: Network,
    bins: Bins,
    decodings: Mapping[str, Decoding],
    image_size: int,
    own_grid: bool = False,
) -> Colorers:
    """Colour photographs of any size as the tool does: the network sees them with `image_size` at the shorter
    side, and its ab is brought to their size, both bicubically; with `own_grid` ab is left as it is.
    """

    def color(lab: Tensor) -> dict[str, Tensor]:
        h, w = lab.shape[2:]
        scale = image_size / min(h, w)
        small = _bicubic(lab[:, :1], (round(h * scale), round(w * scale))).clamp(0, 100)
        logits = network.predict(small)
        found = {}
        for name, how in decodings.items():
            ab = decode(logits, small, bins.centers, how, network.stride)
            if not own_grid:
                step = 1 if how.guide else network.stride  # the last row and column may reach beyond
                reach = tuple(
                    round(cells * step * side / seen)
                    for cells, side, seen in zip(ab.shape[2:], (h, w), small.shape[2:], strict=True)
                )
                ab = _bicubic(ab, reach)[:, :, :h, :w]
            found[name] = ab
        return found

    return color


def baselines(bins: Bins, prior: Float[Tensor, " q"], seed: int = 0) -> Colorers:
    """Gray, the training photographs' mean colour everywhere, a colour drawn from the prior for each pixel,
    and the original (which is the ceiling).

    The paper's "random" takes the colours of another photograph. Drawn pixel by pixel they have the same AuC
    on the average over such photographs, without the chance of which one it is; but they look like noise.
    """
    mean = (prior[:, None] * bins.centers).sum(dim=0)
    upto = prior.double().cumsum(0).cpu()
    generator = torch.Generator().manual_seed(seed)

    def color(lab: Tensor) -> dict[str, Tensor]:
        b, _, h, w = lab.shape
        chance = torch.rand(b, h, w, generator=generator, dtype=torch.float64) * upto[-1]
        drawn = torch.searchsorted(upto, chance, right=True).clamp(max=len(upto) - 1)
        return {
            "gray": torch.zeros_like(lab[:, 1:]),
            "mean colour": mean.to(lab).view(1, 2, 1, 1).expand_as(lab[:, 1:]),
            "random colour": bins.centers.to(lab)[drawn.to(lab.device)].movedim(-1, 1),
            "original": lab[:, 1:],
        }

    return color


@torch.inference_mode()
def measure(
    colorers: Iterable[Colorers],
    batches: Iterable[Batch],
    bins: Bins,
    prior: Float[Tensor, " q"],
    metrics: Sequence[str] = tuple(COLUMNS),
    lpips: Lpips | None = None,
    grid_of: str | None = None,
    watch: Watcher | None = None,
    floor: float = AUC_FLOOR,
) -> Measurements:
    """Measure ways to colour photographs, a batch at a time.

    AuC, ab RMSE and chroma are those of ab as it was predicted; the others of the picture, inside sRGB.

    Args:
        colorers: each gives one way or several.
        batches: photographs, and pictures to be measured as they are.
        bins: with the prior, what the rebalanced AuC weighs by.
        prior: the bins' shares.
        metrics: which; keys of `measurements.METRICS`.
        lpips: for the metric of that name.
        grid_of: the way on whose grid all ab is compared, means over its cells, and that colours what comes
            after it in `colorers`; None for every pixel.
        watch: called after each batch.
        floor: the prior is clipped below at it before it is inverted.
    """
    colorers = list(colorers)
    device = bins.centers.device
    weights = auc_weights(prior, floor).to(device)
    measured = Measurements(metrics)
    for batch in batches:
        rgb = batch.rgb.to(device).float() / 255
        lab = rgb_to_lab(rgb)
        colored: dict[str, Tensor] = {}
        for color in colorers:
            # A colour drawn for each pixel would be the mean colour by the time cells are compared.
            seen = _on_grid(lab, colored[grid_of].shape[2:]) if grid_of in colored else lab
            colored |= color(seen)
        given = {name: pixels.to(device).float() / 255 for name, pixels in batch.outputs.items()}
        found = {name: rgb_to_lab(pixels)[:, 1:] for name, pixels in given.items()} | colored
        grid = lab.shape[2:] if grid_of is None else found[grid_of].shape[2:]
        target = _on_grid(lab[:, 1:], grid)
        pixel_weight = weights[bins.nearest(target)]
        own = colorfulness(rgb) if "colorfulness_difference" in metrics else None
        pictures = {}
        for name, ab in found.items():
            if name in given:
                picture = given[name]
            else:
                picture = rgb if name == "original" else _picture(lab[:, :1], ab)
            pictures[name] = picture
            sums = ab_sums(_on_grid(ab, grid), target, pixel_weight)
            sums |= {"psnr": (psnr(picture, rgb), 1), "colorfulness": (colorfulness(picture), 1)}
            if own is not None:
                sums["colorfulness_difference"] = sums["colorfulness"][0] - own, 1
            if "ciede2000" in metrics:
                shown = lab if name == "original" else rgb_to_lab(picture)
                sums["ciede2000"] = ciede2000(shown, lab).double().mean(dim=(1, 2)), 1
            if "ssim" in metrics:
                sums["ssim"] = torch.ones(len(rgb)) if name == "original" else ssim(picture, rgb), 1
            if lpips is not None and "lpips" in metrics:
                sums["lpips"] = torch.zeros(len(rgb)) if name == "original" else lpips(picture, rgb), 1
            measured.add(name, sums)
        if watch is not None:
            watch(batch, pictures, measured)
    return measured


def ab_sums(
    ab: Float[Tensor, "b 2 h w"], target: Float[Tensor, "b 2 h w"], pixel_weight: Float[Tensor, "b h w"]
) -> dict[str, tuple[Tensor, Tensor | float]]:
    """The sums behind the metrics of ab, of each photograph, in float64."""
    error = (ab - target).norm(dim=1).double()
    within, weight = share_of_thresholds(error), pixel_weight.double()
    pixels = error[0].numel()
    return {
        "auc": (within.sum(dim=(1, 2)), pixels),
        "auc_rebalanced": ((within * weight).sum(dim=(1, 2)), weight.sum(dim=(1, 2))),
        "ab_rmse": (error.square().sum(dim=(1, 2)), pixels),
        "chroma": (ab.norm(dim=1).double().sum(dim=(1, 2)), pixels),
    }


def evaluate(
    colorers: Iterable[Colorers],
    batches: Iterable[UInt8[Tensor, "_ 3 _ _"]],
    bins: Bins,
    prior: Float[Tensor, " q"],
) -> dict[str, dict[str, float]]:
    """The four metrics of the table of a run: name -> {auc, auc_rebalanced, psnr, colorfulness}."""
    unnamed = (Batch([""] * len(rgb), rgb) for rgb in batches)
    return measure(colorers, unnamed, bins, prior).values()


def _picture(lightness: Tensor, ab: Tensor) -> Tensor:
    return lab_to_rgb(torch.cat((lightness, _on_grid(ab, lightness.shape[2:])), dim=1))


def _on_grid(ab: Tensor, size: Sequence[int]) -> Tensor:
    """ab on a finer grid, bicubically, or on a coarser one as means over its cells."""
    if tuple(ab.shape[2:]) == tuple(size):
        return ab
    if ab.shape[2] > size[0]:
        return torch.nn.functional.adaptive_avg_pool2d(ab, (size[0], size[1]))
    return _bicubic(ab, size)


def _bicubic(x: Tensor, size: Sequence[int]) -> Tensor:
    """Pillow's bicubic, by which the tool scales pictures and ab."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    return torch.nn.functional.interpolate(x, size=tuple(size), mode="bicubic", antialias=True)


__all__ = [
    "BASELINES", "Batch", "Colorers", "baselines", "evaluate", "measure", "network_colorers", "print_table",
    "resized_colorers",
]  # fmt: skip
