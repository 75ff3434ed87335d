"""From a `Picture` to a file, whole or not at all."""

import contextlib
import io
import os
import secrets
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image

from colorize.images import jpeg
from colorize.images.pixels import TEXT_TAGS, Array, Picture, to_8bit
from colorize.images.reading import SUFFIXES

_LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}  # pixels
_ASCII = 2  # a TIFF field type
_LEVEL = 1  # of deflate: 6 takes four times as long on photographs and saves 15%
_METRES_PER_INCH = 0.0254


def write(path: str | os.PathLike[str], picture: Picture) -> None:
    """Write a picture in the format that the suffix of `path` names.

    PNG and TIFF keep 16 bits and are lossless; JPEG is of quality 95 with colour at full resolution; WebP is
    lossless if the picture's file was, else of quality 95; JPEG, WebP and BMP hold 8 bits. The file appears
    whole and replaces what is at `path`; after a failure there is no trace of it.

    Raises:
        ValueError: if the suffix names no format that can be written, or the format cannot hold the picture.
        OSError: if the disk does not take it.
    """
    suffix = Path(path).suffix.lower()
    kind = next((kind for kind in _WRITERS if suffix in SUFFIXES[kind]), None)
    if kind is None:
        known = ", ".join(s for kind in _WRITERS for s in SUFFIXES[kind])
        raise ValueError(f"{os.fspath(path)}: cannot write {suffix or 'without a suffix'}, expected {known}")
    h, w = picture.rgb.shape[:2]
    if max(h, w) > _LONGEST_SIDE.get(kind, max(h, w)):
        limit = _LONGEST_SIDE[kind]
        raise ValueError(
            f"{os.fspath(path)}: {w} x {h} pixels, but {kind} has at most {limit} a side; write PNG"
        )
    if picture.alpha is not None and kind in ("JPEG", "BMP"):
        raise ValueError(f"{os.fspath(path)}: {kind} cannot hold transparency; write PNG instead")
    with replacing(path) as temporary:
        _WRITERS[kind](temporary, picture)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name in the folder of `path` for the block to write; it then becomes `path` in one step.

    If the block fails the temporary file is removed and `path` is as before.
    """
    # Not tempfile: its files are private to their owner, whatever the umask.
    temporary = Path(path).with_name(f".colorize-{secrets.token_hex(6)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:  # Ctrl-C too
        temporary.unlink(missing_ok=True)
        raise


def _write_jpeg(path: Path, picture: Picture) -> None:
    path.write_bytes(jpeg.encode(to_8bit(_with_alpha(picture)), 95, **_about(picture)))


def _write_png(path: Path, picture: Picture) -> None:
    if picture.rgb.dtype == np.uint8:
        _save(path, picture, "PNG", compress_level=_LEVEL)
        return
    encoded = memoryview(imagecodecs.png_encode(_with_alpha(picture), level=_LEVEL))
    header = len(b"\x89PNG\r\n\x1a\n") + 25  # signature and IHDR, behind which further chunks may stand
    with path.open("wb") as file:
        file.write(encoded[:header])
        if picture.dpi:
            per_metre = (round(dots / _METRES_PER_INCH) for dots in picture.dpi)
            file.write(_png_chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1)))
        if picture.exif:
            file.write(_png_chunk(b"eXIf", picture.exif.removeprefix(b"Exif\0\0")))
        file.write(encoded[header:])


def _write_webp(path: Path, picture: Picture) -> None:
    quality = 50 if picture.lossless else 95  # of a lossless file it is the effort
    _save(path, picture, "WEBP", lossless=picture.lossless, quality=quality, exact=True)


def _write_bmp(path: Path, picture: Picture) -> None:
    _save(path, picture, "BMP")


def _write_tiff(path: Path, picture: Picture) -> None:
    import tifffile  # a tenth of a second, which only this format should cost

    exif = Image.Exif()
    exif.load(picture.exif)
    texts = [
        (int(tag), _ASCII, 0, str(exif[tag]).encode("latin-1"), True) for tag in TEXT_TAGS if tag in exif
    ]
    options: dict[str, Any] = {"resolution": picture.dpi, "resolutionunit": "INCH"} if picture.dpi else {}
    if picture.alpha is not None:
        options["extrasamples"] = ["unassalpha"]
    tifffile.imwrite(
        path, _with_alpha(picture), photometric="rgb", compression="zlib", compressionargs={"level": _LEVEL},
        predictor=True, rowsperstrip=64, metadata=None, software=False, extratags=texts, **options,
    )  # fmt: skip


def _save(path: Path, picture: Picture, kind: str, **options: Any) -> None:
    """Write 8 bits through Pillow."""
    encoded = io.BytesIO()  # on a full disk Pillow may leave half a file and say nothing
    Image.fromarray(to_8bit(_with_alpha(picture))).save(encoded, format=kind, **options, **_about(picture))
    path.write_bytes(encoded.getbuffer())


def _about(picture: Picture) -> dict[str, Any]:
    """What the file is to say besides, in Pillow's words."""
    about: dict[str, Any] = {}
    if picture.dpi:
        about["dpi"] = picture.dpi
    if picture.exif:
        about["exif"] = picture.exif
    return about


def _with_alpha(picture: Picture) -> Array:
    if picture.alpha is None:
        return np.ascontiguousarray(picture.rgb)
    return np.concatenate((picture.rgb, picture.alpha[:, :, None]), axis=2)


def _png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


_WRITERS: dict[str, Callable[[Path, Picture], None]] = {
    "JPEG": _write_jpeg,
    "PNG": _write_png,
    "WEBP": _write_webp,
    "TIFF": _write_tiff,
    "BMP": _write_bmp,
}
