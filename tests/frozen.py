"""Frozen files of small networks, each made once for all tests: exporting takes seconds."""

import functools
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.onnx
from filelock import FileLock
from torch import nn

from colorize.bins import Bins, srgb_centers
from colorize.colorizer import Colorizer
from colorize.frozen import SUFFIXES, export
from colorize.frozen.precision import with_precision
from colorize.frozen.running import FrozenColorizer
from colorize.networks import make_network


@contextmanager
def unheard() -> Iterator[None]:
    """pytest listens to all loggers, so torch would write down every step of an export; and coverage to every
    call inside torch, which takes half as long again.
    """
    with (
        mock.patch.object(logging.getLogger("torch.__trace"), "handlers", []),
        mock.patch.object(torch.export, "export", _untraced(torch.export.export)),
        mock.patch.object(torch.onnx, "export", _untraced(torch.onnx.export)),
    ):
        yield


def _untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        trace = sys.gettrace()
        sys.settrace(None)
        try:
            return function(*args, **kwargs)
        finally:
            sys.settrace(trace)

    return call


folder: Path | None = None
"""Set by the fixture `frozen_folder`."""

FORMS = ("onnx", "pt2")
PRECISIONS = {"conv8": "float32", "unet": "float32", "zhang16": "int8"}

NETWORKS: dict[
    str, tuple[dict[str, Any], dict[str, Any]]
] = {  # their own options, and others of the colorizer
    "conv8": ({}, {"vividness": 0.5, "saturation": 1.25}),
    "unet": (
        {"widths": (8, 12, 16), "down": (1, 1, 2), "up": (1, 1)},
        {"vividness": 0.8, "guide": 6.0},
    ),
    "zhang16": ({"width": 4}, {"prior": None}),
}


@functools.cache
def network_colorizer(name: str) -> Colorizer:
    """One of chance that gives strong colours, with settings that are not the defaults."""
    torch.manual_seed(0)
    bins = Bins(srgb_centers(40.0))
    options, settings = NETWORKS[name]
    network = make_network(name, len(bins), **options)
    last = [m for m in network.modules() if isinstance(m, nn.Conv2d)][-1]
    nn.init.normal_(last.weight, std=2 / last.in_channels**0.5)
    prior = torch.linspace(1, 2, len(bins))
    common = {
        "name": name, "temperature": 0.5, "image_size": 40, "prior": prior / prior.sum(),
        "bins_info": {"source": "srgb", "step": 40.0}, "training": {"root": "chance", "licence": "CC0"},
    }  # fmt: skip
    return Colorizer(network, bins, **{**common, **settings})


@functools.cache
def smaller_colorizer(name: str) -> Colorizer:
    """With the weights that its frozen files hold."""
    return with_precision(network_colorizer(name), PRECISIONS[name])


@functools.cache
def program(name: str) -> Any:
    """The exported graph."""
    with unheard():
        return export.export_whole(smaller_colorizer(name))


@functools.cache
def frozen_file(name: str, form: str) -> Path:
    """The file that `freeze` leaves, one for all processes of a test run."""
    assert folder is not None, "the test does not use frozen_folder"
    path = folder / f"{name}{SUFFIXES[form]}"
    with FileLock(f"{path}.lock"):
        if not path.exists():
            with mock.patch.object(export, "export_whole", return_value=program(name)), unheard():
                export.freeze(network_colorizer(name), path, form, PRECISIONS[name])
    return path


@functools.cache
def frozen_colorizer(name: str, form: str) -> FrozenColorizer:
    """That file, loaded."""
    return FrozenColorizer.load(frozen_file(name, form))
