"""The colorizer that people use: a picture in, the same in colour out. Never imports Lightning."""

import functools
import math
import os
from collections.abc import Mapping
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Float, Shaped
from PIL import Image
from torch import Tensor

from colorize import images
from colorize.bins import Bins, annealed_mean
from colorize.color import lab_to_rgb, linear_to_lightness, rgb_to_lightness, srgb_to_linear
from colorize.networks import Network, make_network
from colorize.upsampling import cubic_weights
from colorize.weights_file import find_weights, load_network, read_weights, write_weights

TILE = 512  # pixels a side of the pieces that are coloured at a time; their temporaries stay in the cache

Array = np.ndarray[Any, np.dtype[Any]]


class Colorizer:
    """A network with all that it takes to colour pictures.

    Args:
        network: maps L* to logits over the bins.
        bins: the bins.
        name: the network's name among `NETWORKS`, for `save`.
        temperature: of the annealed mean, unless a call says otherwise.
        image_size: shorter side at which the network sees a picture: what it was trained at.
        saturation: factor on ab, unless a call says otherwise.
        prior: the bins' share of the training pixels, for `save`.
        bins_info: where the bins come from ("source", "step"), for `save`.
        training: facts about the training, for `save`.

    Raises:
        ValueError: if a setting is out of range.
    """

    def __init__(
        self,
        network: Network,
        bins: Bins,
        *,
        name: str,
        temperature: float = 0.38,
        image_size: int = 64,
        saturation: float = 1.0,
        prior: Float[Tensor, " q"] | None = None,
        bins_info: Mapping[str, object] | None = None,
        training: Mapping[str, object] | None = None,
    ) -> None:
        _check_factor("temperature", temperature)
        _check_factor("saturation", saturation)
        if image_size < 1:
            raise ValueError(f"image_size must be 1 or more, got {image_size}")
        if prior is not None and len(prior) != len(bins):
            raise ValueError(f"prior has {len(prior)} bins but there are {len(bins)} bin centers")
        self.network = network.eval()
        self.bins = bins
        self.name = name
        self.temperature = temperature
        self.image_size = image_size
        self.saturation = saturation
        self.prior = prior
        self.bins_info = dict(bins_info or {})
        self.training = dict(training or {})

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters(), self.bins.centers).device

    def to(self, device: str | torch.device) -> "Colorizer":
        """Move it to a device: "auto" (CUDA, else Apple's, else the processor) or a name of torch's.

        Raises:
            ValueError: if there is no such device here.
        """
        target = _device(device)
        self.network.to(target)
        self.bins.to(target)
        return self

    @overload
    def __call__(
        self, image: Image.Image, temperature: float | None = None, saturation: float | None = None
    ) -> Image.Image: ...

    @overload
    def __call__(
        self, image: Array, temperature: float | None = None, saturation: float | None = None
    ) -> Array: ...

    def __call__(
        self,
        image: Image.Image | Shaped[Array, "h w *c"],
        temperature: float | None = None,
        saturation: float | None = None,
    ) -> Image.Image | Shaped[Array, "h w c2"]:
        """Colour a picture, whether it is grey or has colours, from its lightness, which stays as it is.

        Args:
            image: a Pillow image of any mode, or an array h w, h w 1, h w 3 or h w 4 (the fourth is alpha) of
                uint8, uint16 or floating point in [0, 1], in sRGB.
            temperature: 0 takes the likeliest colour, 1 the mean; None is the weights' own setting.
            saturation: factor on ab: 0 is grey; None is the weights' own setting.

        Returns:
            For a Pillow image one of mode RGB, or RGBA if it had transparency, upright and in sRGB. For an
            array one of the same type, h w 3, or h w 4 with the same alpha.

        Raises:
            ValueError: if the image or a setting is none of these.
        """
        if isinstance(image, Image.Image):
            picture = images.from_pillow(image)
            rgb = images.to_8bit(self._color(picture.rgb, temperature, saturation))
            if picture.alpha is not None:
                rgb = np.dstack((rgb, images.to_8bit(picture.alpha)))
            return Image.fromarray(rgb)
        rgb = _checked_array(image)
        colored = self._color(np.broadcast_to(rgb[:, :, :3], (*rgb.shape[:2], 3)), temperature, saturation)
        return np.dstack((colored, rgb[:, :, 3])).astype(rgb.dtype) if rgb.shape[2] == 4 else colored

    @torch.inference_mode()
    def predict_ab(
        self,
        lightness: Float[Tensor, "b 1 h w"],
        temperature: float | None = None,
        saturation: float | None = None,
    ) -> Float[Tensor, "b 2 h2 w2"]:
        """ab on the network's grid, h2 = ceil(h / stride), for L* in [0, 100] at the network's size."""
        temperature = self.temperature if temperature is None else temperature
        saturation = self.saturation if saturation is None else saturation
        _check_factor("temperature", temperature)
        _check_factor("saturation", saturation)
        logits = self.network.predict(lightness.to(self.device))
        return annealed_mean(logits, self.bins.centers.to(logits.device), temperature) * saturation

    @torch.inference_mode()
    def _color(self, rgb: Array, temperature: float | None, saturation: float | None) -> Array:
        """The work: rgb (h w 3) of any type that `__call__` takes."""
        small = images.resize(_to_integers(rgb), self.image_size)
        ab = self.predict_ab(self._lightness(small)[None], temperature, saturation)[0]
        h, w = rgb.shape[:2]
        # Pixels of `ab` to one of `rgb`; the last row and column of `ab` may reach beyond the small picture.
        step_y, step_x = (s / n / self.network.stride for s, n in zip(small.shape[:2], (h, w), strict=True))
        is_grey = rgb.strides[2] == 0 and rgb.dtype.kind == "u"
        curve = self._lightness(_levels(rgb.dtype))[0, :, 0].cpu().numpy() if is_grey else None
        out = np.empty((h, w, 3), rgb.dtype)
        for top in range(0, h, TILE):
            rows = slice(top, min(top + TILE, h))
            bands = torch.einsum("yi,cij->cyj", cubic_weights(rows, step_y, ab.shape[1]).to(ab), ab)
            for left in range(0, w, TILE):
                columns = slice(left, min(left + TILE, w))
                full_ab = bands @ cubic_weights(columns, step_x, ab.shape[2]).to(ab).T
                tile = rgb[rows, columns]
                if curve is None:
                    lightness = self._lightness(tile)
                else:  # a look-up costs a tenth of the conversion
                    lightness = torch.from_numpy(curve[tile[None, :, :, 0]]).to(self.device)
                colored = lab_to_rgb(torch.cat((lightness, full_ab)))
                out[rows, columns] = _to_type(colored.permute(1, 2, 0).cpu().numpy(), rgb.dtype)
        return out

    def _lightness(self, rgb: Array) -> Float[Tensor, "1 h w"]:
        """L* on the device of rgb (h w 3) of any type that `__call__` takes."""
        if rgb.dtype.kind == "u":
            linear = np.take(_linear_levels(rgb.dtype), rgb.transpose(2, 0, 1))
            return linear_to_lightness(torch.from_numpy(linear).to(self.device))
        values = torch.from_numpy(rgb.astype(np.float32)).to(self.device)
        return rgb_to_lightness(values.permute(2, 0, 1).contiguous())

    @property
    def about(self) -> dict[str, Any]:
        """Its settings, as JSON can hold them."""
        return {
            "network": {"name": self.name, **self.network.options},
            "bins": {**self.bins_info, "neighbours": self.bins.neighbours, "sigma": self.bins.sigma},
            "temperature": self.temperature,
            "image_size": self.image_size,
            "saturation": self.saturation,
            "training": self.training,
        }

    def save(self, path: str | os.PathLike[str], half: bool = False) -> None:
        """Write the weights file, which stands alone: network, bins, prior and settings.

        Args:
            path: by custom ends in .safetensors.
            half: store the network in 16-bit floating point, half the size.
        """
        tensors = {f"network.{key}": tensor for key, tensor in self.network.state_dict().items()}
        if half:
            tensors = {key: _halved(tensor) for key, tensor in tensors.items()}
        tensors["bins.centers"] = self.bins.centers
        if self.prior is not None:
            tensors["prior"] = self.prior.float()
        write_weights(path, self.about, tensors)

    @classmethod
    def load(
        cls, name_or_file: str | os.PathLike[str] = "conv8", device: str | torch.device = "auto"
    ) -> "Colorizer":
        """Load released weights by their name, or a weights file. Nothing in it is run.

        Raises:
            ValueError: if there are no such weights, the file is no weights file or damaged, or there is no
                such device; one line.
        """
        target = _device(device)
        path = find_weights(name_or_file)
        about, tensors = read_weights(path)
        try:
            options = dict(about["network"])
            name = options.pop("name")
            info = dict(about["bins"])
            centers = tensors.pop("bins.centers").float()
            prior = tensors.pop("prior", None)
            network = make_network(name, len(centers), **options)
            load_network(network, {k.removeprefix("network."): v for k, v in tensors.items()})
            neighbours, sigma = info.pop("neighbours"), float(info.pop("sigma"))
            bins = Bins(centers, neighbours, sigma, step=float(info.get("step", 10.0)))
            colorizer = cls(
                network,
                bins,
                name=name,
                temperature=float(about["temperature"]),
                image_size=about["image_size"],
                saturation=float(about["saturation"]),
                prior=prior,
                bins_info=info,
                training=about["training"],
            )
        except KeyError as error:
            raise ValueError(f"{path}: these weights lack {error}; get a whole copy or train anew") from error
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: these weights do not fit together: {error}") from error
        return colorizer.to(target)


def _device(device: str | torch.device) -> torch.device:
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        target = torch.device(device)
        torch.zeros(1, device=target).cpu()  # finds out whether it is there, and works
    except (RuntimeError, AssertionError) as error:  # NotImplementedError is among the former
        raise ValueError(
            f"no device {str(device)!r} here; expected auto, cpu, cuda, cuda:N or mps"
        ) from error
    return target


def _halved(tensor: Tensor) -> Tensor:
    """In 16 bits, unless it counts or would overflow."""
    half = tensor.half()
    return half if tensor.is_floating_point() and half.isfinite().all() else tensor


def _check_factor(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be 0 or more and finite, got {value}")


def _checked_array(image: object) -> Array:
    """An array h w c of a kind that `Colorizer.__call__` takes."""
    if not isinstance(image, np.ndarray):
        raise ValueError(f"expected a Pillow image or a numpy array, got {type(image).__name__}")
    pixels = image[:, :, None] if image.ndim == 2 else image
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
        raise ValueError(
            f"expected an array of shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), got {image.shape}"
        )
    if pixels.dtype.kind == "f":
        low, high = float(pixels.min()), float(pixels.max())
        if not (low >= 0 and high <= 1):
            raise ValueError(f"expected floating point values from 0 to 1, got {low:g} to {high:g}")
    elif pixels.dtype.kind != "u" or pixels.dtype.itemsize > 2:
        raise ValueError(f"expected values of type uint8, uint16 or floating point, got {pixels.dtype}")
    return pixels


def _levels(dtype: np.dtype[Any]) -> Array:
    """All greys of an integer type, as a picture one pixel wide."""
    levels = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
    return np.broadcast_to(levels[:, None, None], (len(levels), 1, 3))


@functools.cache  # the transfer curve of a few levels instead of millions of pixels
def _linear_levels(dtype: np.dtype[Any]) -> Array:
    """Linear light of each level of an integer type."""
    maximum = np.iinfo(dtype).max
    return srgb_to_linear(torch.arange(maximum + 1, dtype=torch.float64) / maximum).float().numpy()


def _to_integers(rgb: Array) -> Array:
    if rgb.dtype.kind == "u":
        return rgb
    return images.in_strips(lambda p: np.rint(p.astype(np.float32) * 255).astype(np.uint8), rgb)


def _to_type(values: Array, dtype: np.dtype[Any]) -> Array:
    return np.rint(values * np.iinfo(dtype).max).astype(dtype) if dtype.kind == "u" else values.astype(dtype)
