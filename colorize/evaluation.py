"""Metrics of ways to colour the same photographs, beside the baselines that any of them has to beat."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import torch
from jaxtyping import Float, UInt8
from rich.console import Console
from rich.table import Table
from torch import Tensor

from colorize.bins import Bins
from colorize.color import lab_to_rgb, rgb_to_lab
from colorize.decoding import Decoding, decode
from colorize.metrics import AreaUnderCurve, auc_weights, colorfulness, psnr
from colorize.networks import Network

COLUMNS = {
    "auc": "AuC %",
    "auc_rebalanced": "AuC rebalanced %",
    "psnr": "PSNR dB",
    "colorfulness": "colourfulness",
}

# Lab of photographs -> name -> their ab, one for each way to colour them. Only L may be used.
Colorers = Callable[[Float[Tensor, "b 3 h w"]], dict[str, Float[Tensor, "b 2 h w"]]]


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


def baselines(bins: Bins, prior: Float[Tensor, " q"]) -> Colorers:
    """Gray, the training photographs' mean colour everywhere, and the original (which is the ceiling)."""
    mean = (prior[:, None] * bins.centers).sum(dim=0)
    return lambda lab: {
        "gray": torch.zeros_like(lab[:, 1:]),
        "mean colour": mean.to(lab).view(1, 2, 1, 1).expand_as(lab[:, 1:]),
        "original": lab[:, 1:],
    }


@torch.inference_mode()
def evaluate(
    colorers: Iterable[Colorers],
    batches: Iterable[UInt8[Tensor, "_ 3 _ _"]],
    bins: Bins,
    prior: Float[Tensor, " q"],
) -> dict[str, dict[str, float]]:
    """Metrics of each way to colour photographs.

    Returns:
        name -> {auc, auc_rebalanced, psnr, colorfulness}; see `metrics` for each. AuC pools pixels; PSNR and
        colourfulness are means over photographs.
    """
    device = bins.centers.device
    weights = auc_weights(prior).to(device)
    raw: defaultdict[str, AreaUnderCurve] = defaultdict(lambda: AreaUnderCurve().to(device))
    rebalanced: defaultdict[str, AreaUnderCurve] = defaultdict(lambda: AreaUnderCurve().to(device))
    pictures: defaultdict[str, list[Tensor]] = defaultdict(list)
    for batch in batches:
        rgb = batch.to(device).float() / 255
        lab = rgb_to_lab(rgb)
        pixel_weight = weights[bins.nearest(lab[:, 1:])]
        for name, ab in [pair for color in colorers for pair in color(lab).items()]:
            raw[name].update(ab, lab[:, 1:])
            rebalanced[name].update(ab, lab[:, 1:], pixel_weight)
            colored = lab_to_rgb(torch.cat((lab[:, :1], ab), dim=1))
            pictures[name].append(torch.stack((psnr(colored, rgb), colorfulness(colored))))
    results = {}
    for name in raw:
        mean_psnr, mean_colorfulness = torch.cat(pictures[name], dim=1).mean(dim=1).tolist()
        results[name] = {
            "auc": raw[name].compute().item(),
            "auc_rebalanced": rebalanced[name].compute().item(),
            "psnr": mean_psnr,
            "colorfulness": mean_colorfulness,
        }
    return results


def print_table(results: Mapping[str, Mapping[str, float]], title: str) -> None:
    """Print the results of `evaluate` as a table."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right")
    for name, row in results.items():
        # An original compared with itself has no finite PSNR.
        cells = ["-" if key == "psnr" and row[key] >= 99 else f"{row[key]:.1f}" for key in COLUMNS]
        table.add_row(name, *cells)
    Console().print(table)
