"""What is inside weights and frozen files: layers with shapes, parameters and FLOPs, and the settings."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from colorize.frozen import INPUTS, SUFFIXES
from colorize.frozen.running import FrozenColorizer, Pt2

_PREFIX = "looking.network."


@dataclass(frozen=True)
class Layer:
    """One operation with weights.

    Attributes:
        name: in the network.
        kind: such as "Conv2d" or "Conv".
        weight: shape of its kernel.
        output: shape c h w of what it gives for a square picture at the working size.
        parameters: numbers that it holds.
        flops: floating point operations for that picture, a multiplication and an addition being two.
    """

    name: str
    kind: str
    weight: tuple[int, ...]
    output: tuple[int, ...]
    parameters: int
    flops: int


@dataclass(frozen=True)
class Contents:
    """What a file holds."""

    about: dict[str, Any]
    layers: list[Layer]


def inspect_file(name_or_file: str | os.PathLike[str]) -> Contents:
    """Look into released weights, a weights file or a frozen file.

    Raises:
        ValueError: if it is none, or damaged; one line.
    """
    suffix = Path(name_or_file).suffix.lower()
    if suffix == SUFFIXES["onnx"]:
        return _of_onnx(name_or_file)
    if suffix in SUFFIXES.values():
        return _of_program(name_or_file)
    return _of_weights(name_or_file)


def _of_weights(name_or_file: str | os.PathLike[str]) -> Contents:
    import torch
    from torch import nn

    from colorize.colorizer import Colorizer

    colorizer = Colorizer.load(name_or_file, device="cpu")
    layers: list[Layer] = []

    def hook(name: str) -> Callable[..., None]:
        def note(module: nn.Module, _: Any, output: torch.Tensor) -> None:
            parameters = sum(p.numel() for p in module.parameters())
            weight = tuple(getattr(module, "weight", torch.empty(0)).shape)
            layers.append(_layer(name, type(module).__name__, weight, tuple(output.shape), parameters))

        return note

    handles = [
        module.register_forward_hook(hook(name))
        for name, module in colorizer.network.named_modules()
        if not list(module.children()) and list(module.parameters())
    ]
    with torch.inference_mode():
        side = colorizer.image_size
        colorizer.network.predict(torch.full((1, 1, side, side), 50.0))
    for handle in handles:
        handle.remove()
    about = colorizer.about
    about["bins"] = {**about["bins"], "centers": colorizer.bins.centers.tolist()}
    about["prior"] = None if colorizer.prior is None else colorizer.prior.tolist()
    return Contents(about, layers)


def _of_onnx(path: str | os.PathLike[str]) -> Contents:
    """From the file's own graph, run once with every output of a layer as an output of its own."""
    frozen = FrozenColorizer.load(path)  # says what is wrong with the file
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ValueError("looking into ONNX files needs onnx; pip install 'colorize-lab[export]'") from error
    model = onnx.load(os.fspath(path))
    sizes = {i.name: tuple(i.dims) for i in model.graph.initializer}
    weights = _through_casts(model.graph, sizes)
    nodes = [
        n
        for n in model.graph.node
        if n.op_type in ("Conv", "ConvTranspose", "Gemm") and n.input[1] in weights
    ]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=node.output[0]) for node in nodes)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    side = int(frozen.about["image_size"])
    picture = np.full((1, 3, side, side), 0.5, np.float32)
    feed = dict(zip(INPUTS, (picture, np.float32(1), np.float32(1), np.float32(1)), strict=True))
    wanted = {i.name for i in session.get_inputs()}
    outputs = session.run(None, {k: np.asarray(v) for k, v in feed.items() if k in wanted})
    layers = []
    for number, (node, output) in enumerate(zip(nodes, outputs, strict=True), start=1):
        weight = weights[node.input[1]]
        parameters = sum(int(np.prod(weights.get(name, (0,)))) for name in node.input[1:])
        # Folding norms into kernels, and smaller weights, leave tensors without a name from the network.
        name = next((n for n in node.input[1:] if n in sizes and "." in n), f"no. {number}")
        layers.append(
            _layer(name.removeprefix("looking.network."), node.op_type, weight, output.shape, parameters)
        )
    return Contents(frozen.about, layers)


def _through_casts(graph: Any, sizes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Shapes of the initialisers and of what is computed from them alone by casting and scaling."""
    shapes = dict(sizes)
    for node in graph.node:
        if node.op_type in ("Cast", "Mul") and all(name in shapes for name in node.input):
            shapes[node.output[0]] = shapes[node.input[0]]
    return shapes


def _of_program(path: str | os.PathLike[str]) -> Contents:
    frozen = FrozenColorizer.load(path)
    import torch

    assert isinstance(frozen.engine, Pt2)  # as its suffix said
    program, module = frozen.engine.program, frozen.engine.module
    layers: list[Layer] = []
    names = {**program.graph_signature.inputs_to_parameters, **program.graph_signature.inputs_to_buffers}

    class Noting(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> Any:
            result = super().run_node(n)
            if n.op == "call_function" and str(n.target).startswith(("aten.conv", "aten.linear")):
                tensors = [self.env[a] for a in n.args[1:3] if isinstance(a, torch.fx.Node)]
                source = n.args[1]
                while isinstance(source, torch.fx.Node) and source.op == "call_function":
                    source = source.args[0]  # a cast or a scale of smaller weights
                name = names.get(str(getattr(source, "target", "")), str(getattr(source, "target", n.name)))
                name = name.removeprefix("looking.network.").replace(
                    ".parametrizations.weight.original0", ".weight"
                )
                parameters = sum(t.numel() for t in tensors)
                kind = str(n.target).split(".")[1]
                layers.append(_layer(name, kind, tuple(tensors[0].shape), tuple(result.shape), parameters))
            return result

    side = int(frozen.about["image_size"])
    with torch.inference_mode():
        Noting(module).run(torch.full((1, 3, side, side), 0.5), *(torch.tensor(1.0),) * 3)
    return Contents(frozen.about, layers)


def _layer(name: str, kind: str, weight: tuple[int, ...], output: tuple[int, ...], parameters: int) -> Layer:
    """With FLOPs from the shapes: an output of a convolution is a product and a sum per weight."""
    per_output = 2 * int(np.prod(weight[1:])) if len(weight) > 1 else 2
    name = name.removesuffix(".weight").removesuffix(".bias")
    return Layer(name, kind, weight, tuple(output[1:]), parameters, per_output * int(np.prod(output)))
