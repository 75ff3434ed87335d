"""The compiled passes over pixels, `_compiled.c`; None where no C compiler was found to install with."""

from types import ModuleType

passes: ModuleType | None
try:
    from colorize import _compiled as passes
except ImportError:
    passes = None
