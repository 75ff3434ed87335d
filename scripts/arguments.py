"""key=value arguments of the scripts, checked against their defaults."""

import sys
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException


def arguments(usage: str | None, **defaults: Any) -> Any:
    """The settings of a script: `defaults`, changed by the command line. Prints usage and exits where that is
    wrong.

    Args:
        usage: the script's docstring.
        defaults: name -> default; MISSING for what has to be given.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(usage)
        raise SystemExit(0)
    try:
        settings = OmegaConf.create(defaults)
        OmegaConf.set_struct(settings, True)
        settings = OmegaConf.merge(settings, OmegaConf.from_dotlist(sys.argv[1:]))
        missing = OmegaConf.missing_keys(settings)
    except (OmegaConfBaseException, ValueError):
        missing = set()
        settings = None
    if settings is None or missing:
        wrong = (
            f"needs {', '.join(sorted(missing))}"
            if missing
            else f"takes {', '.join(f'{k}=' for k in defaults)}"
        )
        print(
            f"error: {sys.argv[0].rsplit('/', 1)[-1]} {wrong}; got {' '.join(sys.argv[1:])!r}",
            file=sys.stderr,
        )
        raise SystemExit(2)
    return settings


__all__ = ["MISSING", "arguments"]
