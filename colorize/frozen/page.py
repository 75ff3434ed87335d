"""What the page of demo/ runs: the two halves of the graph as ONNX, and a server for this machine alone."""

import functools
import http.server
import json
from pathlib import Path

import numpy as np
import torch

from colorize import images
from colorize.colorizer import Array, Colorizer
from colorize.frozen import AS_TRAINED, INPUTS
from colorize.frozen.export import (
    LARGEST_DIFFERENCE,
    about_file,
    export_graph,
    test_picture,
    write_onnx,
)
from colorize.frozen.graph import Looking, Painting
from colorize.frozen.precision import with_precision

LOOKING_OUTPUTS = ("logits", "cells", "lightness")
PAINTING_INPUTS = ("rgb", *LOOKING_OUTPUTS, "top", "height", *INPUTS[1:])

_HEADERS = {
    # Pages so isolated may use several threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    # As in index.html; a worker hears it from here alone.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
        "connect-src 'self'; img-src 'self' blob:; style-src 'self'; base-uri 'none'; form-action 'none'"
    ),
    "Cache-Control": "no-cache",
}


def export_page(colorizer: Colorizer, folder: Path) -> int:
    """Write looking.onnx, painting.onnx and about.json, once they are seen to give the colorizer's pictures.

    Returns:
        The largest difference, in 8-bit levels.

    Raises:
        ValueError: if that is more than one.
    """
    about = about_file(colorizer)
    colorizer = with_precision(colorizer, "float16")  # half of what the browser has to fetch
    picture = torch.rand(1, 3, 67, 93)
    looking, painting = Looking(colorizer), Painting(colorizer)
    with torch.inference_mode():
        seen = looking.eval()(picture)
    scalars = map(torch.tensor, (0, 67, 0.38, 1.0, 1.0))
    folder.mkdir(parents=True, exist_ok=True)
    names = ("looking.onnx", "painting.onnx", "about.json")
    with (
        images.replacing(folder / names[0]) as first,
        images.replacing(folder / names[1]) as second,
        images.replacing(folder / names[2]) as third,
    ):
        program = export_graph(looking, (picture,), ((2, 3),))
        write_onnx(program, json.dumps(about), first, ("rgb",), LOOKING_OUTPUTS)
        inputs = (picture, *(tensor.clone() for tensor in seen), *scalars)
        program = export_graph(painting, inputs, ((2, 3), (2, 3), (), (2, 3), (), (), (), (), ()))
        write_onnx(program, json.dumps(about), second, PAINTING_INPUTS, ("colored",))
        third.write_text(json.dumps(about), encoding="utf-8")
        rgb = test_picture(120, 81)
        difference = int(
            np.abs(_run_halves(first, second, rgb, about).astype(np.int16) - colorizer(rgb)).max()
        )
        if difference > LARGEST_DIFFERENCE:
            raise ValueError(f"{folder}: not written; the halves differ by {difference} 8-bit levels")
    return difference


def _run_halves(looking: Path, painting: Path, rgb: Array, about: dict[str, float]) -> Array:
    """A picture in two strips, as the page paints it."""
    import onnxruntime

    sessions = [
        onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
        for path in (looking, painting)
    ]
    planes = rgb.transpose(2, 0, 1)[None].astype(np.float32) / 255
    seen = sessions[0].run(None, {"rgb": planes})
    vividness = AS_TRAINED if about["vividness"] is None else about["vividness"]
    settings = (np.float32(about["temperature"]), np.float32(about["saturation"]), np.float32(vividness))
    strips = []
    for rows in (slice(0, 64), slice(64, None)):
        values = (planes[:, :, rows], *seen, np.int64(rows.start), np.int64(len(rgb)), *settings)
        feed = {name: np.asarray(value) for name, value in zip(PAINTING_INPUTS, values, strict=True)}
        strips.append(sessions[1].run(None, feed)[0])
    colored: Array = np.rint(np.concatenate(strips, axis=2)[0].transpose(1, 2, 0) * 255).astype(np.uint8)
    return colored


class _Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012  as in the class above
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".onnx": "application/octet-stream",
    }

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


def server(folder: Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server of `folder` on the loopback address, ready for `serve_forever`.

    Args:
        folder: what is served.
        port: 0 takes a free one.

    Raises:
        OSError: if the port is taken.
    """
    handler = functools.partial(_Handler, directory=folder)
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
