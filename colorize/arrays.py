"""Pictures in memory, of the kinds that colouring takes, on their way to the network and back; no torch."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from PIL import Image

from colorize import images, joining

Array = np.ndarray[Any, np.dtype[Any]]


def colored(
    image: object,
    shorter_side: int,
    stride: int,
    small_ab: Callable[[UInt8[Array, "1 h w 3"]], Float[Array, "1 2 i j"]],
    threads: int,
) -> Image.Image | Shaped[Array, "h w c"]:
    """A picture coloured, of the same sort.

    Args:
        image: of a kind that `parts` takes.
        shorter_side: of the copy that the network sees.
        stride: pixels of that copy to one of the ab that come of it.
        small_ab: gives the copy's ab.
        threads: that join the ab with the picture.

    Raises:
        ValueError: if the image is of no such kind.
    """
    rgb, alpha = parts(image)
    seen = small(rgb, shorter_side)
    ab = small_ab(seen[None])[0]
    return like(image, join_small(rgb, ab, seen.shape, stride, threads), alpha)


def parts(image: object) -> tuple[Shaped[Array, "h w 3"], Shaped[Array, "h w"] | None]:
    """sRGB and alpha of a Pillow image, or of an array h w, h w 1, h w 3 or h w 4.

    Raises:
        ValueError: if it is neither, or its type or values have no meaning as a picture.
    """
    if isinstance(image, Image.Image):
        picture = images.from_pillow(image)
        return picture.rgb, picture.alpha
    pixels = _checked(image)
    rgb = np.broadcast_to(pixels[:, :, :3], (*pixels.shape[:2], 3))
    return rgb, pixels[:, :, 3] if pixels.shape[2] == 4 else None


def like(
    image: object, rgb: Shaped[Array, "h w 3"], alpha: Shaped[Array, "h w"] | None
) -> Image.Image | Shaped[Array, "h w c"]:
    """A coloured picture of the sort of the given one."""
    if isinstance(image, Image.Image):
        rgb, alpha = images.to_8bit(rgb), None if alpha is None else images.to_8bit(alpha)
    pixels = rgb if alpha is None else np.dstack((rgb, alpha)).astype(rgb.dtype)
    return Image.fromarray(pixels) if isinstance(image, Image.Image) else pixels


def small(rgb: Shaped[Array, "h w 3"], shorter_side: int) -> UInt8[Array, "h2 w2 3"]:
    """A picture at the size at which the network sees it."""
    return images.resize(_to_integers(rgb), shorter_side)


def join_small(
    rgb: Shaped[Array, "h w 3"],
    ab: Float[Array, "2 i j"],
    seen: tuple[int, ...],
    stride: int,
    threads: int = 1,
    in_place: bool = False,
) -> Shaped[Array, "h w 3"]:
    """A picture with its own lightness and the ab that the network saw in a copy of the shape `seen`.

    With `in_place` the pixels of `rgb` are overwritten where they can be: new memory costs time.
    """
    h, w = rgb.shape[:2]
    out = rgb if in_place and rgb.flags.writeable and rgb.flags.c_contiguous else None
    # The last row and column of `ab` may reach beyond the small picture.
    return joining.join(rgb, ab, (seen[0] / h / stride, seen[1] / w / stride), threads, out)


def _checked(image: object) -> Array:
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


def _to_integers(rgb: Array) -> Array:
    if rgb.dtype.kind == "u":
        return rgb
    return images.in_strips(lambda p: np.rint(p.astype(np.float32) * 255).astype(np.uint8), rgb)
