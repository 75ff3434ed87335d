"""`freeze`: a colorizer as one file for ONNX Runtime or PyTorch, checked beside the original."""

import importlib.util
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from colorize import __version__, images
from colorize.colorizer import Array, Colorizer
from colorize.frozen import ABOUT, FORMAT, INPUTS, OUTPUTS, SUFFIXES
from colorize.frozen.graph import Whole
from colorize.frozen.precision import with_precision
from colorize.frozen.running import FrozenColorizer
from colorize.frozen.sealing import seal

OPSET = 18  # of ONNX: the first with all that the graph uses
SIZES = ((37, 53), (120, 81), (233, 311))  # pictures of the check, h w
LARGEST_DIFFERENCE = 1  # 8-bit levels

_NEEDS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "pt2": ()}


def freeze(
    colorizer: Colorizer, path: str | os.PathLike[str], form: str = "onnx", precision: str = "float32"
) -> int:
    """Write a frozen file, which appears only when it gives the pictures that `colorizer` gives.

    Args:
        colorizer: what is frozen.
        path: by custom ends as `SUFFIXES` says.
        form: a key of `SUFFIXES`.
        precision: of the stored weights; the pictures are compared with those of weights so rounded.

    Returns:
        The largest difference in 8-bit levels, at `SIZES` and two temperatures.

    Raises:
        ValueError: if there is no such form or precision, a library is missing, or the file's pictures differ
            by more than a level.
    """
    check_form(form)
    smaller = with_precision(colorizer, precision)
    about = json.dumps({**about_file(colorizer), "precision": precision, "form": form})
    with images.replacing(path) as temporary:
        _WRITERS[form](export_whole(smaller), about, temporary)
        named = temporary.with_name(temporary.name + SUFFIXES[form])  # for loaders, which go by it
        temporary.rename(named)
        try:
            difference = largest_difference(FrozenColorizer.load(named), smaller)
        finally:
            named.rename(temporary)
        if difference > LARGEST_DIFFERENCE:
            raise ValueError(
                f"{os.fspath(path)}: not written; the frozen file's pictures differ by up to {difference} "
                f"8-bit levels, expected {LARGEST_DIFFERENCE} at the most"
            )
    return difference


def check_form(form: str) -> None:
    """Raise ValueError if there is no such form, or what it needs is not installed."""
    if form == "executorch":
        raise ValueError(
            "executorch is not offered, since its files could not be checked here (docs/export.md); "
            "format=onnx runs on phones too, with ONNX Runtime Mobile"
        )
    if form not in SUFFIXES:
        raise ValueError(f"format must be one of {', '.join(SUFFIXES)}, got {form!r}")
    missing = [name for name in _NEEDS[form] if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"{form} needs {', '.join(missing)}; pip install 'colorize-lab[export]'")


def largest_difference(frozen: FrozenColorizer, colorizer: Colorizer) -> int:
    """In 8-bit levels, over pictures of `SIZES` at the weights' temperature and at another, both for all in
    the graph and for the graph's ab joined with the picture outside.
    """
    other = 0.38 if colorizer.temperature != 0.38 else 1.0
    pictures = [test_picture(h, w) for h, w in SIZES]
    return max(
        int(np.abs(way(rgb, t).astype(np.int16) - colorizer(rgb, t)).max())
        for rgb in pictures
        for t in (colorizer.temperature, other)
        for way in (frozen, frozen.in_graph)
    )


def test_picture(h: int, w: int) -> Array:
    """Waves of many lengths and a little noise, uint8 h w 3, the same at every call."""
    y, x = np.mgrid[0:h, 0:w] / max(h, w)
    waves = [
        np.sin(9 * x + 4 * y + phase) * np.cos(17 * y * x - phase) + np.sin(60 * x * y) / 4
        for phase in (0, 1, 2)
    ]
    noise = np.random.default_rng(0).normal(0, 6, (h, w, 3))
    levels: Array = (128 + 110 * np.stack(waves, axis=2) + noise).clip(0, 255).astype(np.uint8)
    return levels


def export_whole(colorizer: Colorizer, gather: bool = True) -> ExportedProgram:
    """The whole graph, for any batch, height and width."""
    examples = (torch.rand(2, 3, 67, 93), *map(torch.tensor, (0.38, 1.0, 1.0)))
    return export_graph(Whole(colorizer, gather), examples, ((0, 2, 3), (), (), ()))


def export_graph(
    graph: nn.Module, examples: tuple[Tensor, ...], free: tuple[tuple[int, ...], ...]
) -> ExportedProgram:
    """`graph` as torch.export's program.

    Args:
        graph: what is exported.
        examples: inputs, none of whose free sizes is 1.
        free: of each input the axes whose sizes stay open.
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            graph.eval(),
            examples,
            dynamic_shapes=tuple(dict.fromkeys(axes, Dim.DYNAMIC) for axes in free),
        )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # names files of this machine
    return program


def write_onnx(
    program: ExportedProgram,
    about: str,
    path: Path,
    inputs: tuple[str, ...] = INPUTS,
    outputs: tuple[str, ...] = OUTPUTS,
) -> None:
    """Write a program as ONNX, sealed, with `about` in its metadata."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        exported: Any = torch.onnx.export(
            program, dynamo=True, opset_version=OPSET, verbose=False,
            input_names=list(inputs), output_names=list(outputs),
        )  # fmt: skip
    model = exported.model_proto
    model.producer_name, model.producer_version = "colorize", __version__
    model.metadata_props.add(key=ABOUT, value=about)
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del part.metadata_props[:]  # the exporter's notes, with stack traces
    path.write_bytes(seal(model.SerializeToString(deterministic=True)))


def _write_pt2(program: ExportedProgram, about: str, path: Path) -> None:
    with warnings.catch_warnings(), path.open("wb") as file:
        warnings.simplefilter("ignore")
        torch.export.save(program, file, extra_files={ABOUT: about})


_WRITERS: dict[str, Callable[[ExportedProgram, str, Path], None]] = {
    "onnx": write_onnx,
    "pt2": _write_pt2,
}


def about_file(colorizer: Colorizer) -> dict[str, Any]:
    """What the file says of itself, as JSON can hold it."""
    about = colorizer.about
    return {
        "format": FORMAT,
        **about,
        "stride": colorizer.stride,
        "bins": {**about["bins"], "centers": colorizer.bins.centers.tolist()},
        "prior": None if colorizer.prior is None else colorizer.prior.tolist(),
        "licence": colorizer.training.get("licence", "not stated"),
        "colorize": __version__,
        "torch": torch.__version__,
        "opset": OPSET,
    }
