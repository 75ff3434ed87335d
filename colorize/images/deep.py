"""Files with more than 8 bits a channel: PNG through imagecodecs, TIFF through tifffile."""

import io
import logging
from typing import Any

import imagecodecs
import numpy as np
from jaxtyping import UInt
from PIL import ExifTags, Image

from colorize.images.pixels import TEXT_TAGS, Array, Facts, Unfit, straight_alpha, to_16bit, unit_to_16bit

Handle = io.BytesIO | io.BufferedReader
_COLOUR_CHANNELS = {"MINISBLACK": 1, "MINISWHITE": 1, "RGB": 3, "SEPARATED": 4}
_ASSOCIATED, _UNASSOCIATED = 1, 2  # the two kinds of alpha among TIFF's extra samples
_ICC_PROFILE = 34675
_CENTIMETRE = 3

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # remarks on odd tags stay off the terminal


def is_deep_png(handle: Handle) -> bool:
    """Whether a PNG has 16 bits a channel."""
    handle.seek(0)
    return handle.read(25)[24:] == b"\x10"


def read_deep_png(handle: Handle) -> UInt[Array, "h w c"]:
    """Grey, grey and alpha, RGB or RGBA; a colour said to be transparent has become alpha."""
    handle.seek(0)
    pixels = np.asarray(imagecodecs.png_decode(handle.read()))
    return pixels.reshape(*pixels.shape[:2], -1)


def read_deep_tiff(handle: Handle) -> tuple[UInt[Array, "h w c"], UInt[Array, "h w"] | None, Facts] | None:
    """First page of a TIFF at 16 bits: grey, RGB or CMYK; alpha; what else it says.

    None if it has no more than 8 bits: Pillow knows more kinds of those.

    Raises:
        Unfit: if the page is of a kind that has no meaning as a picture.
    """
    import tifffile  # a tenth of a second, which only this kind of file should cost

    handle.seek(0)
    with tifffile.TiffFile(handle) as tiff:
        page: Any = tiff.pages[0]
        if page.bitspersample <= 8:
            return None
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # Pillow's own for what it opens
        if limit and page.imagewidth * page.imagelength > limit:
            raise Image.DecompressionBombError
        meaning = getattr(page.photometric, "name", "UNKNOWN")
        channels = _COLOUR_CHANNELS.get(meaning)
        number = page.dtype.kind if page.dtype is not None else ""
        readable = number == "f" or (number == "u" and page.bitspersample <= 16)
        if not (channels and readable and page.axes in ("YX", "YXS", "SYX")):
            raise Unfit(
                f"is a TIFF of {page.bitspersample}-bit numbers of sort {meaning}, {page.dtype}, "
                "expected grey, RGB or CMYK in 16 bits or floating point; save it so"
            )
        pixels = page.asarray()
        pixels = np.moveaxis(pixels, 0, 2) if page.axes == "SYX" else pixels.reshape(*pixels.shape[:2], -1)
        pixels = unit_to_16bit(pixels) if number == "f" else to_16bit(pixels, page.bitspersample)
        if meaning == "MINISWHITE":
            pixels[:, :, 0] = 65535 - pixels[:, :, 0]
        alpha = None
        extra = page.extrasamples[0] if page.extrasamples else None
        if extra in (_ASSOCIATED, _UNASSOCIATED):
            if extra == _ASSOCIATED:
                pixels = straight_alpha(pixels[:, :, : channels + 1])
            alpha = pixels[:, :, channels]
        return pixels[:, :, :channels], alpha, _facts(page.tags, len(tiff.pages))


def _facts(tags: Any, frames: int) -> Facts:
    value = tags.valueof
    exif = Image.Exif()
    for tag in TEXT_TAGS:
        if isinstance(value(tag), str):
            exif[tag] = value(tag).encode()
    dpi = None
    across, down = value(ExifTags.Base.XResolution), value(ExifTags.Base.YResolution)
    if across and down and across[1] and down[1]:  # numerator, denominator
        unit = 2.54 if value(ExifTags.Base.ResolutionUnit) == _CENTIMETRE else 1.0
        dpi = (unit * across[0] / across[1], unit * down[0] / down[1])
    block = exif.tobytes() if len(exif) else b""
    return Facts(value(_ICC_PROFILE), value(ExifTags.Base.Orientation), dpi, block, frames)
