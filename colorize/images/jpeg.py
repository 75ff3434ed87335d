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
_TABLES, _SCAN = 0xDB, 0xDA  # markers: the first segment behind those that describe the file; pixels follow


def decode(handle: Handle, image: Image.Image) -> UInt8[Array, "h w c"] | None:
    """The pixels of a grey or RGB file, of which `image` is the header.

    Returns:
        None where Pillow is to decode: other colours, or a file that may not be whole. Pillow tells whether
        it is; libjpeg-turbo alone would fill what is missing with grey.
    """
    handle.seek(0)
    data = handle.read()
    if image.mode not in ("L", "RGB") or "progressive" in image.info:  # of these a scan may be missing
        return None
    scan = _find(data, _SCAN)
    if not data.endswith(_END) or scan is None or scan + _length(data, scan) + len(_END) >= len(data):
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
    return header[: _find(header, _TABLES)] + file[_find(file, _TABLES) :]


def _find(file: bytes, marker: int) -> int | None:
    """Where the first segment with that marker begins; None if what is before is no row of segments."""
    at = len(_START)
    while at + 4 <= len(file) and file[at] == 0xFF:
        if file[at + 1] == marker:
            return at
        at += _length(file, at)
    return None


def _length(file: bytes, at: int) -> int:
    """Of a segment, marker included."""
    return 2 + int.from_bytes(file[at + 2 : at + 4])
