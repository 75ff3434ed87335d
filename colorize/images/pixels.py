"""What the numbers of a picture file mean: depth, ink, transparency, ICC profile. They become sRGB here."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from jaxtyping import Float, UInt, UInt8
from PIL import ExifTags, Image

from colorize import compiled

MAX_ASPECT = 8  # `resize` squeezes what is longer: 1 x 10000 would become 64 x 640,000

BOX_TO_PIXEL = 3  # `resize` first takes means of squares, this many of them to a pixel of its result

Array = np.ndarray[Any, np.dtype[Any]]


TEXT_TAGS = (
    ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.Software,
    ExifTags.Base.DateTime, ExifTags.Base.Artist, ExifTags.Base.Copyright,
)  # fmt: skip
"""What is kept of the words in a file, in EXIF's and TIFF's common numbering."""


class Unfit(ValueError):
    """Why a picture cannot be used, in words that follow its name."""


@dataclass(frozen=True)
class Picture:
    """A picture and what its file says besides.

    Attributes:
        rgb: sRGB over the full scale of uint8 or uint16. Grey is one plane seen three times: not to be
            written into.
        alpha: of the same type; None where the file has no transparency.
        lossless: whether the file keeps pixels exactly.
        dpi: resolution along x and y.
        exif: EXIF block without what no longer holds, such as orientation; empty if there is none.
        frames: frames or pages of the file, of which this is the first.
    """

    rgb: UInt[Array, "h w 3"]
    alpha: UInt[Array, "h w"] | None = None
    lossless: bool = True
    dpi: tuple[float, float] | None = None
    exif: bytes = b""
    frames: int = 1


@dataclass(frozen=True)
class Facts:
    """What a file says besides its pixels, unchecked but for `exif`, which is ready to be written."""

    profile: bytes | None
    orientation: object
    dpi: object
    exif: bytes
    frames: int = 1


def resize(rgb: UInt[Array, "h w 3"], shorter_side: int) -> UInt8[Array, "h2 w2 3"]:
    """Scale a picture, antialiased, to the size and 8 bits at which networks see it, in training and after.

    Beyond an aspect of 8 the longer side is squeezed to 8 times the shorter.
    """
    h, w = rgb.shape[:2]
    scale = shorter_side / min(h, w)
    h2, w2 = (min(round(side * scale), MAX_ASPECT * shorter_side) for side in (h, w))
    grey = rgb.strides[2] == 0
    factor = max(1, min(h // h2, w // w2) // BOX_TO_PIXEL)
    image = Image.fromarray(_box_means(rgb[:, :, 0] if grey else rgb, factor))
    box = (0, 0, w / factor, h / factor)  # the last row and column may be of a part
    # A copy: of an array that cannot be written to torch makes no tensor without a warning.
    small = np.array(image.resize((w2, h2), Image.Resampling.BICUBIC, box))
    return np.repeat(small[:, :, None], 3, axis=2) if grey else small


def _box_means(pixels: UInt[Array, "h w *c"], side: int) -> UInt8[Array, "h2 w2 *c"]:
    """8-bit means of squares; those at the bottom and at the right are of what is there."""
    if side == 1:
        return to_8bit(pixels)
    passes = compiled.passes
    if (
        passes is not None
        and side <= passes.MOST_SIDE
        and pixels.dtype == np.uint8
        and pixels.flags.c_contiguous
    ):
        h, w = (-(-length // side) for length in pixels.shape[:2])
        means = np.empty((h, w, *pixels.shape[2:]), np.uint8)
        passes.box_means(np.atleast_3d(pixels), side, np.atleast_3d(means))
        return means
    # Some rows at a time: Pillow would copy all of the picture, as four bytes a pixel.
    rows = side * max(1, 2**18 // (side * pixels.shape[1]))
    strips = (to_8bit(pixels[top : top + rows]) for top in range(0, len(pixels), rows))
    return np.concatenate([np.asarray(Image.fromarray(strip).reduce(side)) for strip in strips])


def in_strips(function: Callable[[Array], Array], pixels: Array) -> Array:
    """`function(pixels)` for one that works pixel by pixel, some rows at a time to save memory."""
    first = function(pixels[:1])
    out = np.empty((len(pixels), *first.shape[1:]), first.dtype)
    rows = max(1, 2**20 // pixels[0].size)
    for top in range(0, len(pixels), rows):
        out[top : top + rows] = function(pixels[top : top + rows])
    return out


def to_8bit(pixels: UInt[Array, "h w *c"]) -> UInt8[Array, "h w *c"]:
    """Nearest 8-bit levels of 8- or 16-bit ones."""
    if pixels.dtype == np.uint8:
        return pixels
    return in_strips(lambda p: ((p.astype(np.uint32) + 128) // 257).astype(np.uint8), pixels)


def to_16bit(pixels: UInt[Array, "h w *c"], bits: int) -> UInt[Array, "h w *c"]:
    """16-bit levels of ones with `bits` from 9 to 16, such as a camera's 12."""
    top = 2**bits - 1
    if bits == 16:
        return pixels.astype(np.uint16, copy=False)
    return in_strips(lambda p: ((p.astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16), pixels)


def unit_to_16bit(pixels: Float[Array, "h w *c"]) -> UInt[Array, "h w *c"]:
    """16-bit levels of floating point values in [0, 1].

    Raises:
        Unfit: if a value is outside, or not a number.
    """
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):
        raise Unfit(
            f"has floating point values from {low:g} to {high:g}, expected 0 to 1; save it with 16 bits"
        )
    return in_strips(lambda p: np.rint(p.astype(np.float64) * 65535).astype(np.uint16), pixels)


def straight_alpha(pixels: UInt[Array, "h w c"]) -> UInt[Array, "h w c"]:
    """Undo the multiplication of colour by alpha, the last channel."""

    def divide(strip: Array) -> Array:
        top = np.iinfo(strip.dtype).max
        alpha = strip[..., -1:].astype(np.float32)
        straight = strip * (np.float32(top) / alpha.clip(1))
        straight[..., -1:] = alpha
        levels: Array = np.rint(straight.clip(0, top)).astype(strip.dtype)
        return levels

    return in_strips(divide, pixels)


def to_srgb(pixels: UInt[Array, "h w c"], profile: bytes | None) -> UInt[Array, "h w c2"]:
    """Bring grey (1 channel), RGB (3) or CMYK (4, full scale = full ink) to sRGB of 1 or 3 channels.

    Without a profile, or with a damaged one or one of another colour space, grey and RGB are taken as sRGB
    and inks as ideal ones: what viewers do.
    """
    channels = pixels.shape[2]
    convert = _profile_to_srgb(profile, channels, pixels.dtype) if profile else None
    if convert is None:
        return in_strips(_ink_to_rgb, pixels) if channels == 4 else pixels
    if channels == 1:
        levels = np.arange(np.iinfo(pixels.dtype).max + 1, dtype=pixels.dtype)
        curve = convert(levels[:, None, None])[:, :, 1]  # R, G and B differ by rounding at most
        return in_strips(lambda p: curve[p[..., 0]], pixels)
    if channels == 3 and _is_srgb(convert, pixels.dtype):
        return pixels  # by far the commonest; leave it without a second rounding
    return in_strips(convert, pixels)


def _profile_to_srgb(profile: bytes, channels: int, dtype: np.dtype[Any]) -> Callable[[Array], Array] | None:
    """A function from pixels under `profile` to sRGB (..., 3), None if the profile does not fit."""
    space = profile[16:20]
    spaces = {1: (b"GRAY", b"RGB "), 3: (b"RGB ",), 4: (b"CMYK",)}  # grey under an RGB profile is common
    if space not in spaces[channels]:
        return None
    # 16-bit colours would go through a coarse table otherwise, 8-bit ones lose nothing by it
    flags = imagecodecs.CMS.FLAGS.NOOPTIMIZE if dtype == np.uint16 else None

    def convert(pixels: Array) -> Array:
        if space == b"GRAY":
            pixels = pixels[..., 0]
        elif channels == 1:
            pixels = np.repeat(pixels, 3, axis=2)
        return np.asarray(
            imagecodecs.cms_transform(
                np.ascontiguousarray(pixels), profile, _srgb_profile(),
                colorspace=space.decode().strip().lower(), outcolorspace="rgb", flags=flags,
            )
        )  # fmt: skip

    try:
        convert(np.zeros((1, 1, channels), dtype))
    except imagecodecs.CmsError:
        return None
    return convert


@functools.cache
def _srgb_profile() -> bytes:
    return bytes(imagecodecs.cms_profile("srgb"))


def _is_srgb(convert: Callable[[Array], Array], dtype: np.dtype[Any]) -> bool:
    """Whether a conversion leaves every colour of a coarse grid where it is, within one 8-bit level."""
    top = np.iinfo(dtype).max
    axis = np.linspace(0, top, 9).astype(dtype)
    grid = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(27, 27, 3)
    return bool(np.abs(convert(grid).astype(np.int32) - grid).max() <= top // 255)


def _ink_to_rgb(cmyk: UInt[Array, "h w 4"]) -> UInt[Array, "h w 3"]:
    """Colour of ideal inks: each takes away its share of what the black ink leaves."""
    top = np.float32(np.iinfo(cmyk.dtype).max)
    left = top - cmyk
    rgb: Array = np.rint(left[..., :3] * left[..., 3:] / top).astype(cmyk.dtype)
    return rgb
