"""The compiled passes over pixels, `_passes.h`; None where no C compiler was found to install with."""

from types import ModuleType

VERSION = 1  # of _compiled.c: what was compiled may be older than this folder

passes: ModuleType | None = None
try:
    from colorize import _compiled
except ImportError:
    pass
else:
    if getattr(_compiled, "VERSION", 0) == VERSION:
        passes = _compiled
