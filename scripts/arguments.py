"""key=value arguments of the scripts, checked against their defaults."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from colorize.errors import one_line


def arguments(usage: str | None, places: Sequence[str] = (), **defaults: Any) -> Any:
    """The settings of a script: `defaults`, changed by the command line. Prints usage and exits where that is
    wrong.

    Args:
        usage: the script's docstring.
        places: names of settings that words without a key are, in this order.
        defaults: name -> default; MISSING for what has to be given.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(usage)
        raise SystemExit(0)
    given = sys.argv[1:]
    if "data" in defaults:  # one setting here, called as train.py does or for short
        given = [re.sub(r"^data\.root=", "data=", word) for word in given]
    try:
        settings = OmegaConf.create(defaults)
        OmegaConf.set_struct(settings, True)
        bare = [word for word in given if "=" not in word]
        words = [word for word in given if "=" in word]
        if places:
            settings = OmegaConf.merge(settings, dict(zip(places, bare, strict=False)))
            bare = bare[len(places) :]
        settings = OmegaConf.merge(settings, OmegaConf.from_dotlist([*words, *bare]))
        missing = OmegaConf.missing_keys(settings)
        for key, default in defaults.items():
            if isinstance(default, dict) and not OmegaConf.is_dict(settings[key]):
                raise ValueError(f"{key} is a group of settings")
    except (OmegaConfBaseException, ValueError):
        missing = set()
        settings = None
    if settings is None or missing:
        valid = [
            f"{key}.{name}=" if name else f"{key}="
            for key, default in defaults.items()
            for name in (default if isinstance(default, dict) else [""])
        ]
        wrong = f"needs {', '.join(sorted(missing))}" if missing else f"takes {', '.join(valid)}"
        print(
            f"error: {sys.argv[0].rsplit('/', 1)[-1]} {wrong}; got {' '.join(sys.argv[1:])!r}",
            file=sys.stderr,
        )
        raise SystemExit(2)
    return settings


def run(main: Callable[[], None], status: int = 2) -> None:
    """Call a script's `main`; what wrong settings or files raise becomes one line and an exit code."""
    try:
        main()
    except (ValueError, OSError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        raise SystemExit(status) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def numbers(name: str, given: Any) -> list[float]:
    """One number, or several, of 0 or more.

    Raises:
        ValueError: if it is anything else.
    """
    values = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    for value in values:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value < float("inf"):
            raise ValueError(f"{name} takes numbers of 0 or more, got {value!r}")
    return [float(value) for value in values]


def number(name: str, given: Any) -> float:
    """One number of 0 or more.

    Raises:
        ValueError: if it is anything else.
    """
    values = numbers(name, given)
    if len(values) != 1:
        raise ValueError(f"{name} takes one number, got {given}")
    return values[0]


def at_least(name: str, given: Any, least: int) -> int:
    """A whole number from `least` on.

    Raises:
        ValueError: if it is anything else.
    """
    if not isinstance(given, int) or isinstance(given, bool) or given < least:
        raise ValueError(f"{name} must be a whole number of {least} or more, got {given!r}")
    return given


def paths(name: str, given: Any) -> str | list[str]:
    """One path or pattern, or several.

    Raises:
        ValueError: if it is anything else.
    """
    values = [given] if isinstance(given, str) else given
    if not isinstance(values, Sequence) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name} takes a folder, a .txt list, .tar shards or a list of those; got {given!r}")
    return given if isinstance(given, str) else list(values)


def writable(name: str, path: str, suffixes: Sequence[str]) -> Path:
    """The path of a file that can be written, to know before the work begins.

    Raises:
        ValueError: if its folder is missing, or its name does not end as it should.
    """
    file = Path(path)
    if not file.parent.is_dir():
        raise ValueError(f"{name}: there is no folder {file.parent}")
    if file.suffix.lower() not in suffixes:
        raise ValueError(f"{name} must end in {' or '.join(suffixes)}, got {path}")
    return file


__all__ = ["MISSING", "arguments", "at_least", "number", "numbers", "paths", "run", "writable"]
