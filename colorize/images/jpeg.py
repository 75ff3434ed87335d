"""JPEG pixels straight between libjpeg-turbo and numpy.

Pillow's decoder and encoder are the same library with two copies of the picture between, four bytes a pixel:
a third of the time. Headers and whatever is unusual stay with Pillow.
"""

import io
from typing import Any

import imagecodecs
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from colorize.images.deep import Handle
from colorize.images.pixels import Array

_START, _END = b"\xff\xd8", b"\xff\xd9"
_TABLES = 0xDB  # the marker of the first segment behind those that describe the file


def decode(handle: Handle, image: Image.Image) -> UInt8[Array, "h w c"] | None:
    """The pixels of a grey or RGB file, of which `image` is the header.

    Returns:
        None where Pillow is to decode: other colours, or a file that may not be whole. Pillow tells whether
        it is; libjpeg-turbo alone would fill what is missing with grey.
    """
    handle.seek(0)
    data = handle.read()
    if image.mode not in ("L", "RGB") or not data.endswith(_END):
        return None
    try:
        pixels: Array = imagecodecs.jpeg8_decode(data)
    except imagecodecs.Jpeg8Error:
        return None
    w, h = image.size
    return pixels.reshape(h, w, -1) if pixels.shape[:2] == (h, w) else None


def encode(rgb: UInt8[Array, "h w 3"], quality: int, **about: Any) -> bytes:
    """A file with colour at full resolution; `about` is what Pillow takes besides: dpi, exif."""
    file = bytes(imagecodecs.jpeg8_encode(rgb, level=quality, subsampling="444"))
    described = io.BytesIO()
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(described, "JPEG", **about)
    header = described.getvalue()
    return header[: _tables(header)] + file[_tables(file) :]


def _tables(file: bytes) -> int:
    """Where the segments that describe a file end."""
    at = len(_START)
    while file[at + 1] != _TABLES:
        at += 2 + int.from_bytes(file[at + 2 : at + 4])
    return at
