"""A prior with its bins as a file: counted once, given to any number of runs by loss.prior=FILE.

The tensors "centers" (q, 2) and "prior" (q) as safetensors; the metadata's "colorize" is a JSON object with
the settings of `loss` that the prior was counted with, and facts about the photographs.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from jaxtyping import Float
from torch import Tensor

from colorize.bins import Bins, srgb_centers, zhang313_centers
from colorize.images import replacing
from colorize.prior import color_prior, count_colors, used_grid_centers

COUNTED_BY = ("bins", "smoothing", "gray_threshold")
"""The settings of `loss` that a prior depends on."""


@dataclass(frozen=True)
class CountedPrior:
    """Bins and their shares in some photographs.

    Attributes:
        centers: ab of the bins.
        prior: shares, which sum to 1.
        settings: those of `loss` named in `COUNTED_BY`.
        facts: about the photographs.
    """

    centers: Float[Tensor, "q 2"]
    prior: Float[Tensor, " q"]
    settings: dict[str, Any]
    facts: dict[str, Any]

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the file, whole or not at all."""
        about = json.dumps({"settings": self.settings, "facts": self.facts})
        tensors = {"centers": self.centers.contiguous(), "prior": self.prior.contiguous()}
        with replacing(path) as temporary:
            temporary.write_bytes(safetensors.torch.save(tensors, {"colorize": about}))


def read_prior(path: str | os.PathLike[str]) -> CountedPrior:
    """The prior of a file.

    Raises:
        ValueError: if there is none at `path`.
    """
    advice = "python -m scripts.prior writes one"
    if not Path(path).is_file():
        raise ValueError(f"loss.prior: there is no file {path}; {advice}")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["colorize"])
            counted = CountedPrior(
                file.get_tensor("centers"), file.get_tensor("prior"), about["settings"], about["facts"]
            )
    except (safetensors.SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"loss.prior: {path} is damaged or no file of a prior; {advice}") from error
    shares = counted.prior
    whole = shares.shape == counted.centers.shape[:1] and bool((shares >= 0).all())
    if not (whole and abs(float(shares.sum()) - 1) < 1e-3):
        raise ValueError(f"loss.prior: {path} holds no shares that add up to 1; {advice}")
    return counted


def is_prior(path: str | os.PathLike[str]) -> bool:
    """Whether a file has what `CountedPrior.write` writes, and nothing else."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return set(file.keys()) == {"centers", "prior"}
    except (safetensors.SafetensorError, OSError):
        return False


def read_prior_for(path: object, settings: Mapping[str, Any]) -> CountedPrior:
    """The prior of a file for a run with these settings of `loss`.

    The settings decide which bins there are, and the file must agree; of the bins that a data set uses
    (source: data) it says itself which these are.

    Raises:
        ValueError: if there is no prior at `path`, or it is one of other bins or was counted otherwise.
    """
    if not isinstance(path, str):
        raise ValueError(f"loss.prior takes the path of a file, got {path!r}")
    counted = read_prior(path)
    theirs, ours = _flat(counted.settings), _flat({key: settings[key] for key in COUNTED_BY})
    if differing := [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]:
        there, here = (", ".join(f"{key}={made.get(key)}" for key in differing) for made in (theirs, ours))
        raise ValueError(
            f"loss.prior: {path} was counted with {there}; this run has {here}; give it the same, or "
            "count the colours again by python -m scripts.prior"
        )
    return counted


def count_prior(
    rgb_batches: Iterable[Tensor], settings: Mapping[str, Any], facts: Mapping[str, Any] | None = None
) -> CountedPrior:
    """Count the colours of photographs, choose the bins that the settings of `loss` ask for, and find their
    prior.

    Args:
        rgb_batches: uint8 (b, 3, h, w).
        settings: of `loss`, at least those of `COUNTED_BY`.
        facts: to be kept with the prior.

    Raises:
        ValueError: if a setting is wrong or there is no photograph with colour.
    """
    options = dict(settings["bins"])
    source, step = options.pop("source"), float(options["step"])
    centers = fixed_centers(source, step)
    if centers is not None:
        Bins(centers, **options)  # what is wrong with them is said before the photographs are read
    palette = count_colors(rgb_batches, settings["gray_threshold"])
    if centers is None:
        centers = used_grid_centers(palette, step)
    prior = color_prior(palette, Bins(centers, **options), settings["smoothing"])
    return CountedPrior(centers, prior, {key: settings[key] for key in COUNTED_BY}, dict(facts or {}))


def fixed_centers(source: str, step: float) -> Float[Tensor, "q 2"] | None:
    """The bins' centres, or None where photographs decide.

    Raises:
        ValueError: if there are none of that step.
    """
    if source == "zhang313" and step != 10:
        raise ValueError(f"the zhang313 bins have step 10, got loss.bins.step={step:g}")
    if source == "data":
        return None
    return srgb_centers(step) if source == "srgb" else zhang313_centers()


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    bins = {f"loss.bins.{key}": value for key, value in settings["bins"].items()}
    return bins | {f"loss.{key}": settings[key] for key in COUNTED_BY if key != "bins"}
