"""Which values the settings of the studies may have, so that a wrong one is named before any work begins."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from colorize.activations import ACTIVATIONS
from colorize.configuration import check_overrides
from colorize.ranges import BELOW_1, NOT_NEGATIVE, POSITIVE, Range

COUNT: Range = "a whole number of 1 or more", lambda x: isinstance(x, int) and x >= 1
NUMBER: Range = "a number", lambda x: True

# By the last part of a setting's name; of a list it is the range of its entries.
RANGES: dict[str, Range] = {
    **dict.fromkeys(("runs", "threads", "epochs", "steps", "samples", "batch_size", "measured"), COUNT),
    **dict.fromkeys(("depth", "width", "hidden", "digits", "train", "val", "test"), COUNT),
    **dict.fromkeys(("lr", "length", "strongest"), POSITIVE),
    **dict.fromkeys(("seed", "strength", "noise", "outliers", "temperatures"), NOT_NEGATIVE),
    **dict.fromkeys(("slope", "intercept", "weights", "starts"), NUMBER),
    "correlation": BELOW_1,
}


def check_settings(settings: Mapping[str, Any], section: str = "") -> None:
    """Check the settings of a study.

    Args:
        settings: name -> value, list of values or group of settings.
        section: what their names are to be preceded by, with a dot at its end.

    Raises:
        ValueError: naming the first that is outside its range.
    """
    for name, value in settings.items():
        key = section + name
        if name == "ways":
            _check_training(settings["settings"], value)
        elif isinstance(value, Mapping):
            check_settings(value, f"{key}.")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            if not value and (name in RANGES or name == "activations"):
                raise ValueError(f"{key} must have one entry or more")
            for entry in value:
                _check(key, name, entry)
        elif name != "weights":  # a word, where it is no list
            _check(key, name, value)
    if settings.get("outliers", 0) > settings.get("samples", math.inf):
        raise ValueError(
            f"{section}outliers must be at most {settings['samples']}, the number of samples; "
            f"got {settings['outliers']}"
        )


def _check(key: str, name: str, value: object) -> None:
    if name == "activations" and value not in ACTIVATIONS:
        raise ValueError(f"{key} must be of {', '.join(ACTIVATIONS)}; got {value!r}")
    if name in RANGES:
        wording, fits = RANGES[name]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and not math.isfinite(value):  # type: ignore[arg-type]
            raise ValueError(f"{key} must be finite, got {value!r}")
        if not is_number or not fits(value):  # type: ignore[arg-type]
            raise ValueError(f"{key} must be {wording}, got {value!r}")


def _check_training(shared: Sequence[Any], ways: Mapping[str, Sequence[Any]]) -> None:
    """Settings of train.py."""
    words = [str(word) for word in [*shared, *(word for way in ways.values() for word in way)]]
    if bare := [word for word in words if "=" not in word]:
        raise ValueError(f"settings and ways are of train.py, key=value; got {bare[0]!r}")
    check_overrides(words)
