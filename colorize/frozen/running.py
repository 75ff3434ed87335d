"""Colouring with frozen files. For ONNX neither torch nor a network of ours is imported."""

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from PIL import Image

from colorize import arrays
from colorize.frozen import ABOUT, AS_TRAINED, FORMAT, INPUTS, OUTPUTS, SUFFIXES
from colorize.frozen.sealing import damaged, read_bytes, read_sealed
from colorize.pipeline import cores
from colorize.ranges import check_factor

Array = np.ndarray[Any, np.dtype[Any]]
PathLike = str | os.PathLike[str]


@runtime_checkable  # for the tests, which check types
class Engine(Protocol):
    """What runs a file's graph."""

    text: str
    """The JSON that travels in the file."""

    def use_threads(self, threads: int) -> None:
        """For each of the calls that come at the same time."""

    def run(
        self, rgb: Float32[Array, "b 3 h w"], scalars: Sequence[float], output: str
    ) -> Float32[Array, "b c i j"]:
        """One of `OUTPUTS` for sRGB in [0, 1] and the other `INPUTS`."""


class FrozenColorizer:
    """A frozen file, used as a `Colorizer` is.

    The graph is asked for the coarse ab alone, and the picture gets them as it does from a `Colorizer`: in
    strips, which the graph does not have.

    Args:
        engine: runs the graph.
        about: the settings that travel in the file.
    """

    batch = 1

    def __init__(self, engine: Engine, about: dict[str, Any]) -> None:
        self.engine = engine
        self.about = about
        self.temperature = float(about["temperature"])
        self.saturation = float(about["saturation"])
        self.image_size: int = about["image_size"]
        self.vividness = about["vividness"]
        self.stride: int = about["stride"]

    @classmethod
    def load(cls, path: PathLike) -> "FrozenColorizer":
        """Load a file that `scripts.export` wrote, by its suffix.

        Raises:
            ValueError: if it is none, or damaged, or the library that runs it is missing; one line.
        """
        engines: dict[str, type[Onnx | Pt2]] = dict(zip(SUFFIXES.values(), (Onnx, Pt2), strict=True))
        suffix = Path(path).suffix.lower()
        if suffix not in engines:
            raise ValueError(f"{os.fspath(path)}: a frozen file ends in {', '.join(engines)}")
        engine = engines[suffix](path)
        try:
            about = json.loads(engine.text)
            if about["format"] == FORMAT:
                return cls(engine, about)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(damaged(path)) from error
        raise ValueError(
            f"{os.fspath(path)}: is of format {about['format']}, expected {FORMAT}; freeze it anew"
        )

    @property
    def vividness(self) -> float | None:
        """How much rare colours count; None is as trained.

        Raises:
            ValueError: when it is set, if it is negative or not finite, or the weights held no prior.
        """
        return self._vividness

    @vividness.setter
    def vividness(self, value: float | None) -> None:
        if value is not None:
            check_factor("vividness", value)
            if self.about["prior"] is None:
                raise ValueError("these frozen weights hold no prior, which vividness needs")
        self._vividness = value

    def use_threads(self, threads: int) -> None:
        """Compute with that many threads in each thread that calls `small_ab`."""
        self.engine.use_threads(threads)

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
        small_ab = partial(self.small_ab, temperature=temperature, saturation=saturation)
        return arrays.colored(image, self.image_size, self.stride, small_ab, cores())

    def small_ab(
        self,
        small: UInt8[Array, "b h w 3"],
        temperature: float | None = None,
        saturation: float | None = None,
    ) -> Float32[Array, "b 2 h2 w2"]:
        """ab on the network's grid for sRGB pictures of the network's size."""
        return self._run(small, temperature, saturation, "ab")

    def in_graph(
        self, rgb: UInt8[Array, "h w 3"], temperature: float | None = None, saturation: float | None = None
    ) -> UInt8[Array, "h w 3"]:
        """A picture coloured by the graph alone, as other programs use it."""
        colored = self._run(rgb[None], temperature, saturation, "colored")[0]
        levels: Array = np.rint(255 * colored.transpose(1, 2, 0)).astype(np.uint8)
        return levels

    def _run(self, rgb: Array, temperature: float | None, saturation: float | None, output: str) -> Array:
        temperature = self.temperature if temperature is None else temperature
        saturation = self.saturation if saturation is None else saturation
        check_factor("temperature", temperature)
        check_factor("saturation", saturation)
        vividness = AS_TRAINED if self.vividness is None else self.vividness
        planes = np.ascontiguousarray(rgb.transpose(0, 3, 1, 2), np.float32) / np.float32(255)
        return self.engine.run(planes, (temperature, saturation, vividness), output)


class Onnx:
    """An ONNX file in ONNX Runtime."""

    def __init__(self, path: PathLike) -> None:
        self.data = read_sealed(path)
        try:
            import onnxruntime
        except ImportError as error:
            raise ValueError(_missing(path, "onnxruntime", "export")) from error
        self.library = onnxruntime
        self.threads = cores()
        try:
            self.session = self._start()
        except Exception as error:  # onnxruntime's own have no common base
            raise ValueError(damaged(path)) from error
        self.text = self.session.get_modelmeta().custom_metadata_map.get(ABOUT, "null")

    def use_threads(self, threads: int) -> None:
        if threads != self.threads:
            self.threads = threads
            self.session = self._start()

    def run(self, rgb: Array, scalars: Sequence[float], output: str) -> Array:
        values = (rgb, *(np.array(value, np.float32) for value in scalars))
        try:
            (result,) = self.session.run([output], dict(zip(INPUTS, values, strict=True)), self.asked)
        except self.library.capi.onnxruntime_pybind11_state.RuntimeException as error:
            raise MemoryError(str(error)) from error  # the graph takes every picture that memory holds
        return np.asarray(result)

    def _start(self) -> Any:
        self.asked = self.library.RunOptions()
        self.asked.only_execute_path_to_fetches = True
        options = self.library.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised, and said in one line
        options.intra_op_num_threads = self.threads
        options.enable_mem_pattern = False  # it plans for the next picture of the same size, seldom met
        # Threads that wait would keep from the cores those that join pictures.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return self.library.InferenceSession(self.data, options, providers=["CPUExecutionProvider"])


class Pt2:
    """A pt2 file in PyTorch."""

    def __init__(self, path: PathLike) -> None:
        read_bytes(path)  # says what is wrong with the path
        import zipfile

        import torch

        self.library = torch
        self.threads: int | None = None
        try:
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:
                    raise ValueError(damaged(path))
                about = next(name for name in archive.namelist() if name.endswith(f"/extra/{ABOUT}"))
                self.text = archive.read(about).decode()
            self.program = torch.export.load(path)
            self.module = self.program.module(check_guards=False)  # the checks are of sizes that are free
        except ValueError:
            raise
        except Exception as error:  # zipfile's, torch's and StopIteration have no common base
            raise ValueError(damaged(path)) from error

    def use_threads(self, threads: int) -> None:
        self.threads = threads

    def run(self, rgb: Array, scalars: Sequence[float], output: str) -> Array:
        torch = self.library
        if self.threads is not None:
            torch.set_num_threads(self.threads)  # of the calling thread
        with torch.inference_mode():
            results = self.module(torch.from_numpy(rgb), *(torch.tensor(float(value)) for value in scalars))
        return np.asarray(results[OUTPUTS.index(output)].numpy())


def _missing(path: PathLike, library: str, extra: str) -> str:
    return f"{os.fspath(path)}: needs {library}; pip install 'colorize-lab[{extra}]' or {library} itself"
