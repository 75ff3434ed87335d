"""The colorizer that people use: a picture in, the same in colour out. Never imports Lightning."""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Float, Float32, Shaped, UInt8
from PIL import Image
from torch import Tensor

from colorize import arrays, joining
from colorize.bins import Bins
from colorize.decoding import Decoding, decode
from colorize.networks import Network, make_network
from colorize.ranges import check_factor
from colorize.released import DEFAULT, find_weights
from colorize.vividness import trained_lambda, vivid_offset
from colorize.weights_file import load_network, read_weights, write_weights

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
        prior: the bins' share of the training pixels, for `save` and vividness.
        vividness: how much rare colours count: 0 as in nature, 1 as if the network had been trained with
            lambda = 0.5; None as it was trained.
        guide: contrast of `guided.guided_upsample`, in L units; 0 is off. Networks of stride 1 need none.
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
        vividness: float | None = None,
        guide: float = 0.0,
    ) -> None:
        check_factor("temperature", temperature)
        check_factor("saturation", saturation)
        check_factor("guide", guide)
        if image_size < 1:
            raise ValueError(f"image_size must be 1 or more, got {image_size}")
        if prior is not None and len(prior) != len(bins):
            raise ValueError(f"prior has {len(prior)} bins but there are {len(bins)} bin centers")
        self.network = network.eval().to(memory_format=torch.channels_last)  # a sixth faster on processors
        self.bins = bins
        self.name = name
        self.temperature = temperature
        self.image_size = image_size
        self.saturation = saturation
        self.prior = prior
        self.bins_info = dict(bins_info or {})
        self.training = dict(training or {})
        self.guide = guide
        self.vividness = vividness
        self._threads: int | None = None

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters(), self.bins.centers).device

    @property
    def vividness(self) -> float | None:
        """Of the decoding; None is as trained."""
        return self._vividness

    @vividness.setter
    def vividness(self, value: float | None) -> None:
        self._offset = None if value is None else self.offset(value)
        self._vividness = value

    def offset(self, vividness: float) -> Float[Tensor, " q"]:
        """What `vividness` adds to the logits.

        Raises:
            ValueError: if it is negative or not finite, or the weights hold no prior.
        """
        check_factor("vividness", vividness)
        if self.prior is None:
            raise ValueError(f"these weights ({self.name}) hold no prior, which vividness needs")
        return vivid_offset(self.prior, vividness, trained_lambda(self.training))

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
        small_ab = partial(self.small_ab, temperature=temperature, saturation=saturation)
        return arrays.colored(image, self.image_size, self.stride, small_ab, torch.get_num_threads())

    def small_ab(
        self,
        small: UInt8[Array, "b h w 3"],
        temperature: float | None = None,
        saturation: float | None = None,
    ) -> Float32[Array, "b 2 h2 w2"]:
        """`predict_ab` of the lightness of sRGB pictures of the network's size."""
        if self._threads is not None:
            torch.set_num_threads(self._threads)  # of the calling thread
        lightness = joining.lightness(small.reshape(-1, *small.shape[2:])).reshape(small.shape[:3])
        ab = self.predict_ab(torch.from_numpy(lightness)[:, None], temperature, saturation)
        return np.asarray(ab.cpu().numpy())

    @property
    def stride(self) -> int:
        """Pixels that the network sees to one of the ab that it gives."""
        return 1 if self.guide else self.network.stride

    @property
    def batch(self) -> int:
        """How many pictures to give `small_ab` at a time: on the processor they are as quick one by one."""
        return 1 if self.device.type == "cpu" else 16

    def use_threads(self, threads: int) -> None:
        """Compute with that many of torch's threads in each thread that calls `small_ab`."""
        self._threads = threads

    @torch.inference_mode()
    def predict_ab(
        self,
        lightness: Float[Tensor, "b 1 h w"],
        temperature: float | None = None,
        saturation: float | None = None,
    ) -> Float[Tensor, "b 2 h2 w2"]:
        """ab, h2 = ceil(h / stride), for L* in [0, 100] at the network's size."""
        temperature = self.temperature if temperature is None else temperature
        saturation = self.saturation if saturation is None else saturation
        check_factor("temperature", temperature)
        check_factor("saturation", saturation)
        lightness = lightness.to(self.device)
        logits = self._logits(lightness, half=self.device.type == "cuda")
        how = Decoding(temperature, saturation, self._offset, self.guide)
        return decode(logits, lightness, self.bins.centers, how, self.network.stride)

    def _logits(self, lightness: Tensor, half: bool) -> Tensor:
        """In float32; with `half` the network computes in 16 bits, unless its numbers outgrow them."""
        if half:
            with torch.autocast(lightness.device.type, torch.float16):
                logits = self.network.predict(lightness).float()
            if logits.isfinite().all():
                return logits
        return self.network.predict(lightness)

    @property
    def about(self) -> dict[str, Any]:
        """Its settings, as JSON can hold them."""
        return {
            "network": {"name": self.name, **self.network.options},
            "bins": {**self.bins_info, "neighbours": self.bins.neighbours, "sigma": self.bins.sigma},
            "temperature": self.temperature,
            "image_size": self.image_size,
            "saturation": self.saturation,
            "vividness": self.vividness,
            "guide": self.guide,
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
        cls, name_or_file: str | os.PathLike[str] = DEFAULT, device: str | torch.device = "auto"
    ) -> "Colorizer":
        """Load released weights by name, a weights file, or `hf://OWNER/NAME` (`hub.from_hub`). Runs nothing.

        Raises:
            ValueError: if there are no such weights, the file is no weights file or damaged, the hub does not
                give it, or there is no such device; one line.
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
                vividness=about.get("vividness"),  # older files have none of these
                guide=float(about.get("guide", 0.0)),
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
        raise ValueError(f"no device '{device}' here; expected auto, cpu, cuda, cuda:N or mps") from error
    return target


def _halved(tensor: Tensor) -> Tensor:
    """In 16 bits, unless it counts or would overflow."""
    half = tensor.half()
    return half if tensor.is_floating_point() and half.isfinite().all() else tensor
