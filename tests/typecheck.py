"""The checker of type hints that tests install: beartype, with int accepted where float is asked for."""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def unchecked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as users call it, without the checker: for what it says of wrong shapes itself."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function
