"""The compiled passes over pixels, `_passes.h`; None where no C compiler was found to install with."""

from types import ModuleType

passes: ModuleType | None
try:
    from colorize import _compiled as passes
except ImportError:
    passes = None
