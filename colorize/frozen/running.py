"""Colouring with frozen files. For ONNX neither torch nor a network of ours is imported."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped
from PIL import Image

from colorize import arrays
from colorize.frozen import ABOUT, FORMAT, INPUTS, SUFFIXES
from colorize.frozen.sealing import damaged, read_bytes, read_sealed

Array = np.ndarray[Any, np.dtype[Any]]
Run = Callable[[Float32[Array, "b 3 h w"], float, float], Float32[Array, "b 3 h w"]]


class FrozenColorizer:
    """A frozen file, used as a `Colorizer` is.

    Args:
        run: maps sRGB in [0, 1], temperature and saturation to sRGB in colour.
        about: the settings that travel in the file.
    """

    def __init__(self, run: Run, about: dict[str, Any]) -> None:
        self.run = run
        self.about = about
        self.temperature = float(about["temperature"])
        self.saturation = float(about["saturation"])

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "FrozenColorizer":
        """Load a file that `scripts.export` wrote, by its suffix.

        Raises:
            ValueError: if it is none, or damaged, or the library that runs it is missing; one line.
        """
        loaders = dict(zip(SUFFIXES.values(), (_load_onnx, _load_pt2), strict=True))
        suffix = Path(path).suffix.lower()
        if suffix not in loaders:
            raise ValueError(f"{os.fspath(path)}: a frozen file ends in {', '.join(loaders)}")
        run, text = loaders[suffix](path)
        try:
            about = json.loads(text)
            if about["format"] == FORMAT:
                return cls(run, about)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(damaged(path)) from error
        raise ValueError(
            f"{os.fspath(path)}: is of format {about['format']}, expected {FORMAT}; freeze it anew"
        )

    def use_threads(self, threads: int) -> None:
        """Nothing: the libraries that run frozen files share their threads among calls."""

    def __call__(
        self,
        image: Image.Image | Shaped[Array, "h w *c"],
        temperature: float | None = None,
        saturation: float | None = None,
    ) -> Any:
        """Colour a picture, of all kinds that `Colorizer` takes, from its lightness, which stays as it is.

        Args:
            image: a Pillow image, or an array h w, h w 1, h w 3 or h w 4 in sRGB.
            temperature: 0 takes the likeliest colour, 1 the mean; None is the weights' own setting.
            saturation: factor on ab: 0 is grey; None is the weights' own setting.

        Returns:
            A picture of the same sort.

        Raises:
            ValueError: if the image or a setting is none of these.
        """
        settings = []
        for name, value in (("temperature", temperature), ("saturation", saturation)):
            settings.append(getattr(self, name) if value is None else value)
            if not (math.isfinite(settings[-1]) and settings[-1] >= 0):
                raise ValueError(f"{name} must be 0 or more and finite, got {value}")
        rgb, alpha = arrays.parts(image)
        top = np.float32(1 if rgb.dtype.kind == "f" else np.iinfo(rgb.dtype).max)
        planes = np.empty((1, 3, *rgb.shape[:2]), np.float32)
        for c in range(3):  # plane by plane: moving the axes of all at once takes several times as long
            np.divide(rgb[:, :, c], top, out=planes[0, c], dtype=np.float32)
        colored = self.run(planes, *settings)[0]
        out = np.empty(rgb.shape, rgb.dtype)
        for c in range(3):
            out[:, :, c] = colored[c] if rgb.dtype.kind == "f" else np.rint(colored[c] * top)
        return arrays.like(image, out, alpha)


def _load_onnx(path: str | os.PathLike[str]) -> tuple[Run, str]:
    data = read_sealed(path)
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError(_missing(path, "onnxruntime", "onnx")) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised, and said in one line
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own have no common base
        raise ValueError(damaged(path)) from error

    def run(rgb: Array, temperature: float, saturation: float) -> Array:
        scalars = (np.array(value, np.float32) for value in (temperature, saturation))
        try:
            (colored,) = session.run(None, dict(zip(INPUTS, (rgb, *scalars), strict=True)))
        except onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException as error:
            raise MemoryError(str(error)) from error  # the graph takes every picture that memory holds
        return np.asarray(colored)

    return run, session.get_modelmeta().custom_metadata_map.get(ABOUT, "null")


def _load_pt2(path: str | os.PathLike[str]) -> tuple[Run, str]:
    read_bytes(path)  # says what is wrong with the path
    import zipfile

    import torch

    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                raise ValueError(damaged(path))
            about = next(name for name in archive.namelist() if name.endswith(f"/extra/{ABOUT}"))
            text = archive.read(about).decode()
        program = torch.export.load(path).module()
    except ValueError:
        raise
    except Exception as error:  # zipfile's, torch's and StopIteration have no common base
        raise ValueError(damaged(path)) from error

    @torch.inference_mode()
    def run(rgb: Array, temperature: float, saturation: float) -> Array:
        scalars = (torch.tensor(value, dtype=torch.float32) for value in (temperature, saturation))
        return np.asarray(program(torch.from_numpy(rgb), *scalars).numpy())

    return run, text


def _missing(path: str | os.PathLike[str], library: str, extra: str) -> str:
    return f"{os.fspath(path)}: needs {library}; pip install 'colorize-lab[{extra}]' or {library} itself"
