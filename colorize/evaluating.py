"""A whole evaluation, from photographs to a table, results.json and report.html."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor

from colorize import images
from colorize.bins import Bins
from colorize.colorizer import Colorizer
from colorize.contact_sheet import ContactSheet, write_page
from colorize.data.photo import Photo
from colorize.decoding import Decoding
from colorize.evaluation import Colorers, baselines, measure, network_colorers, resized_colorers
from colorize.measurements import EQUAL, METRICS, Interval, Measurements, print_intervals
from colorize.metrics import AUC_FLOOR, AUC_LIMIT
from colorize.outputs import match_outputs, output_reader
from colorize.perceptual import Lpips, find_alexnet, how_to_get_lpips, load_lpips
from colorize.prior_file import is_prior, read_prior
from colorize.protocols import Protocol, find_protocol, read_batches

RESULTS, REPORT = "results.json", "report.html"


@dataclass(frozen=True)
class Settings:
    """How to evaluate.

    Attributes:
        protocol: a name among `PROTOCOLS`.
        size: side of the squares of the protocol "working"; None: the weights' image size.
        floor: of the prior, before it is inverted for the rebalanced AuC.
        lpips: file of AlexNet's weights; None looks in torch's cache; "none" leaves LPIPS out.
        resamples: of the bootstrap.
        seed: of the bootstrap and of the random colours.
        sheet: how many photographs the report shows.
    """

    protocol: str
    size: int | None = None
    floor: float = AUC_FLOOR
    lpips: str | None = None
    resamples: int = 1000
    seed: int = 0
    sheet: int = 100

    def check(self) -> None:
        """Refuse what cannot be, before the work.

        Raises:
            ValueError: if a setting is out of range or names nothing.
        """
        find_protocol(self.protocol)
        for name, least in (("size", 1), ("resamples", 100), ("seed", 0), ("sheet", 0)):
            value = getattr(self, name)
            if name == "size" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} takes a whole number of {least} or more, got {value!r}")
        if self.size is not None and self.protocol != "working":
            raise ValueError(f"size is of the protocol working; {self.protocol} has its own")
        if isinstance(self.floor, bool) or not isinstance(self.floor, int | float) or not 0 < self.floor <= 1:
            raise ValueError(f"floor takes a share above 0 and up to 1, such as 1e-4, got {self.floor!r}")
        if self.lpips not in (None, "none") and not Path(str(self.lpips)).is_file():
            raise ValueError(f"lpips: there is no file {self.lpips}")


class Judge(NamedTuple):
    """What the rebalanced AuC weighs by and the baselines take their colours from, and whose it is."""

    name: str
    bins: Bins
    prior: Float[Tensor, " q"]

    @classmethod
    def of(cls, name: str, colorizer: Colorizer) -> "Judge":
        """The bins and the prior of weights.

        Raises:
            ValueError: if they hold no prior.
        """
        if colorizer.prior is None:
            raise ValueError(f"{name} holds no prior, which the rebalanced AuC needs")
        return cls(name, colorizer.bins, colorizer.prior)

    @classmethod
    def read(cls, name: str) -> "Judge":
        """Those of weights, by name or file, or of a file of scripts.prior.

        Raises:
            ValueError: if there is no such thing.
        """
        if is_prior(name):
            counted = read_prior(name)
            return cls(name, Bins(counted.centers), counted.prior)
        return cls.of(name, Colorizer.load(name))


def prepare(out: Path) -> Path:
    """The folder for the results, which is made.

    Raises:
        ValueError: if it cannot be one.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"out: {out} cannot be a folder: {error.strerror}") from error
    return out


def evaluate_photos(
    title: str,
    weights: str,
    colorizer: Colorizer,
    judge: Judge,
    decodings: Mapping[str, Decoding],
    photos: Sequence[Photo],
    outputs: Path | None,
    settings: Settings,
    out: Path,
) -> Measurements:
    """Measure a network's decodings, or the pictures in `outputs`, beside the baselines; print and write it.

    Args:
        title: what is evaluated on what.
        weights: what the weights are called.
        colorizer: the weights; of outputs only their image size counts.
        judge: bins and prior.
        decodings: name -> decoding, for the network.
        photos: the originals.
        outputs: folder of pictures made of them; None to evaluate the network.
        settings: how.
        out: folder for results.json and report.html.

    Raises:
        ValueError: if photographs or outputs are not as they should be.
    """
    protocol, size = find_protocol(settings.protocol), settings.size or colorizer.image_size
    side = size if settings.protocol == "working" else None
    matched = None if outputs is None else match_outputs(outputs, photos)
    lpips = _lpips(settings, colorizer)
    metrics = [metric for metric in METRICS if metric != "lpips" or lpips is not None]
    ways: list[Colorers] = [baselines(judge.bins, judge.prior, settings.seed)]
    if outputs is None:
        ways.insert(
            0,
            _network(
                colorizer, decodings, size if settings.protocol == "working" else None, protocol.own_grid
            ),
        )
    sheet = ContactSheet(settings.sheet)
    measured = measure(
        ways,
        read_batches(
            photos, protocol, size, None if matched is None else output_reader(matched, protocol, size)
        ),
        judge.bins,
        judge.prior,
        metrics,
        lpips,
        next(iter(decodings)) if protocol.own_grid and outputs is None else None,
        sheet if settings.sheet else None,
        settings.floor,
    )
    found = measured.intervals(settings.resamples, settings.seed)
    about = _about(title, None if outputs else weights, judge.name, side, settings, protocol, len(measured))
    about["metrics"] = {m: f"{METRICS[m].heading}: {METRICS[m].meaning}" for m in metrics}
    print_intervals(found, title)
    for line in about["notes"]:
        print(line)
    if lpips is None and settings.lpips != "none":
        print(how_to_get_lpips())
    _write_json(out / RESULTS, about, found)
    write_page(out / REPORT, title, [*about["notes"], *about["metrics"].values()], found, sheet)
    print(f"{out / RESULTS}  {out / REPORT}")
    return measured


def _lpips(settings: Settings, colorizer: Colorizer) -> Lpips | None:
    if settings.lpips == "none":
        return None
    path = find_alexnet() if settings.lpips is None else Path(settings.lpips)
    return None if path is None else load_lpips(path, colorizer.device)


def _network(
    colorizer: Colorizer, decodings: Mapping[str, Decoding], side: int | None, own_grid: bool
) -> Colorers:
    network, bins, size = colorizer.network, colorizer.bins, colorizer.image_size
    if side == size:  # squares that the network can take as they are
        return network_colorers(network, bins, decodings)
    return resized_colorers(network, bins, decodings, size, own_grid)


def _about(
    title: str,
    weights: str | None,
    prior: str,
    side: int | None,
    settings: Settings,
    protocol: Protocol,
    n: int,
) -> dict[str, Any]:
    return {
        "title": title,
        "photographs": n,
        "weights": weights,
        "prior": prior,
        **asdict(settings),
        "size": side,
        "rule": protocol.rule,
        "auc": {"thresholds": [0, AUC_LIMIT], "step": 1, "pooling": "pixels"},
        "notes": [
            f"protocol {settings.protocol}: {protocol.rule}" + (f" ({side} pixels)" if side else ""),
            f"AuC: thresholds 0, 1 .. {AUC_LIMIT} ab units, pixels pooled; rebalanced by "
            f"1 / max(p, {settings.floor:g}), p the prior of {prior}",
            f"±: half of the 95 % interval, {settings.resamples} sets of photographs drawn anew (bootstrap, "
            f"seed {settings.seed})",
        ],
    }


def _write_json(path: Path, about: Mapping[str, Any], found: Mapping[str, Mapping[str, Interval]]) -> None:
    """What has no finite figure, such as the PSNR of equal pictures, is null."""

    def number(metric: str, value: float) -> float | None:
        return None if not math.isfinite(value) or (metric == "psnr" and value >= EQUAL) else value

    ways = {
        way: {
            metric: {key: number(metric, value) for key, value in interval._asdict().items()}
            for metric, interval in row.items()
        }
        for way, row in found.items()
    }
    with images.replacing(path) as temporary:
        temporary.write_text(json.dumps({**about, "ways": ways}, indent=2) + "\n", encoding="utf-8")
