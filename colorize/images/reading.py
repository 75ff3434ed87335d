"""From a picture file, the bytes of one or a Pillow image to a `Picture`."""

import contextlib
import io
import os
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, UnidentifiedImageError

from colorize.images import jpeg
from colorize.images.deep import Handle, is_deep_png, read_deep_png, read_deep_tiff
from colorize.images.pixels import (
    TEXT_TAGS,
    Array,
    Facts,
    Picture,
    Unfit,
    resize,
    to_8bit,
    to_srgb,
    unit_to_16bit,
)  # fmt: skip

SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
}
"""The formats read, by Pillow's names, and the suffixes of their files, the usual one first."""

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"),
    (b"BM", "BMP"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"II+\0", "TIFF"), (b"MM\0+", "TIFF"),
)  # fmt: skip
_STALE_EXIF_TAGS = (
    ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight, ExifTags.Base.ColorSpace,
    ExifTags.Base.MakerNote, ExifTags.IFD.Interop,
)  # fmt: skip
_UPRIGHT: dict[int, Callable[[Array], Array]] = {  # EXIF orientation -> how to turn (h, w, ...)
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: np.rot90(p),
}
_SMALL = 4_000_000  # pixels that are copied once more for speed
_warning_filters = threading.Lock()  # they belong to the process, and pictures are read in several threads


def read(path: str | os.PathLike[str]) -> Picture:
    """Read a picture file.

    Raises:
        ValueError: if there is no readable picture at `path`; one line that begins with the path.
    """
    with _opened(path) as handle:
        return _decode(handle)


def read_rgb8(
    source: str | os.PathLike[str] | bytes, shorter_side: int | None = None
) -> UInt8[Array, "h w 3"]:
    """Read a picture file, or the bytes of one, as 8-bit sRGB without transparency, as training wants it.

    With `shorter_side` it is resized by `resize`; a JPEG at least four times as large is then decoded at a
    fraction of its size, several times as fast and about one level away from decoding it whole.

    Raises:
        ValueError: if it is no readable picture; one line.
    """
    with _opened(source) as handle:
        rgb = _decode(handle, shorter_side).rgb
    return np.ascontiguousarray(to_8bit(rgb)) if shorter_side is None else resize(rgb, shorter_side)


def from_pillow(image: Image.Image) -> Picture:
    """The picture that a Pillow image of any mode holds, upright and in sRGB.

    Raises:
        ValueError: if its mode or its values have no meaning as a picture.
    """
    try:
        return _from_pillow(image)
    except Unfit as error:
        raise ValueError(f"the image {error}") from error


def result_suffix(path: str | os.PathLike[str]) -> str:
    """Suffix for the coloured copy of a picture file: the file's own where it fits what the file holds.

    One that belongs to another format gives way to the right one. GIF, whose 256 colours are too few, becomes
    PNG, and so does BMP with transparency, which most programs would not show.

    Raises:
        ValueError: if there is no picture at `path`; one line that begins with the path.
    """
    with _opened(path) as handle:
        kind = _kind(handle)
        if kind == "GIF" or (kind == "BMP" and _open(handle, kind).has_transparency_data):
            return ".png"
    suffix = Path(path).suffix
    return suffix if suffix.lower() in SUFFIXES[kind] else SUFFIXES[kind][0]


def pixel_count(path: str | os.PathLike[str]) -> int:
    """How many pixels the picture has by its file's header, to plan with; 0 if that cannot be read."""
    try:
        with _opened(path) as handle:
            kind = _kind(handle)
            try:
                width, height = _open(handle, kind).size
            except Unfit:  # deep TIFF, of which Pillow knows little: no fewer bytes than pixels, mostly
                return os.path.getsize(path)
            return width * height
    except ValueError:
        return 0  # `read` will say why


@contextlib.contextmanager
def _opened(source: str | os.PathLike[str] | bytes) -> Iterator[Handle]:
    """A file opened; whatever fails inside the block becomes a ValueError of one line."""
    name = "" if isinstance(source, bytes) else f"{os.fspath(source)}: "  # bytes: the caller knows their name
    try:
        with _handle(source) as handle:
            yield handle
    except Unfit as error:
        raise ValueError(f"{name}{error}") from error
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise ValueError(f"{name}has more than {limit} million pixels; scale it down first") from error
    except MemoryError:
        raise
    except Exception as error:  # damaged data makes decoders raise anything, from struct.error to IndexError
        reason = (str(error).splitlines() or [""])[0][:100] or type(error).__name__
        raise ValueError(f"{name}broken or cut off ({reason}); get a whole copy of the file") from error


def _handle(source: str | os.PathLike[str] | bytes) -> Handle:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        status = os.stat(source)
        if stat.S_ISDIR(status.st_mode):
            raise Unfit("is a folder, expected a picture file")
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise Unfit("is no regular file, expected a picture file")
        return open(source, "rb")
    except FileNotFoundError as error:
        raise Unfit("there is no such file; check the path") from error
    except OSError as error:
        raise Unfit(f"cannot be read: {error.strerror}") from error


def _kind(handle: Handle) -> str:
    """The format, from a file's first bytes; its name may lie."""
    head = handle.read(12)
    handle.seek(0)
    if not head:
        raise Unfit("is empty, expected a picture file")
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return "WEBP"
    raise Unfit("is no picture of a known format (JPEG, PNG, WebP, TIFF, BMP, GIF); save it as one of these")


def _open(handle: Handle, kind: str) -> Image.Image:
    """The picture's header; pixels are decoded later."""
    try:
        with _quiet():
            return Image.open(handle, formats=[kind])
    except UnidentifiedImageError as error:
        raise Unfit(
            f"broken or cut off at the beginning, or {kind} of an unknown sort; save it anew"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings about odd headers, and about sizes above half its limit."""
    with _warning_filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _decode(handle: Handle, shorter_side: int | None = None) -> Picture:
    kind = _kind(handle)
    if kind == "TIFF" and (deep := read_deep_tiff(handle)) is not None:
        return _assemble(*deep)
    lossless = kind != "JPEG" and (kind != "WEBP" or b"VP8L" in handle.read())
    image = _open(handle, kind)
    if kind == "PNG" and is_deep_png(handle):
        pixels = read_deep_png(handle)
        colours = 1 if pixels.shape[2] <= 2 else 3
        alpha = pixels[:, :, colours] if pixels.shape[2] > colours else None
        return _assemble(pixels[:, :, :colours], alpha, _facts(image))
    if shorter_side is not None:
        image.draft(None, (2 * shorter_side,) * 2)  # to no less than that; formats other than JPEG ignore it
    elif kind == "JPEG" and (whole := jpeg.decode(handle, image)) is not None:
        return _assemble(whole, None, _facts(image), lossless)
    return _from_pillow(image, lossless)


def _from_pillow(image: Image.Image, lossless: bool = True) -> Picture:
    image.load()
    facts = _facts(image)
    mode = image.mode
    if mode.startswith("I;16"):
        return _assemble(np.asarray(image).astype(np.uint16)[:, :, None], None, facts, lossless)
    if mode in ("I", "F"):
        values = np.asarray(image)
        low, high = values.min(), values.max()
        if mode == "I" and (low < 0 or high > 65535):
            raise Unfit(f"has values from {low} to {high}, expected 0 to 65535")
        values = values.astype(np.uint16) if mode == "I" else unit_to_16bit(values)
        return _assemble(values[:, :, None], None, facts, lossless)
    if image.has_transparency_data:
        image = image.convert("LA" if mode in ("1", "L", "LA", "La") else "RGBA")
    elif mode == "1":
        image = image.convert("L")
    elif mode in ("P", "RGBX", "YCbCr", "HSV"):
        image = image.convert("RGB")
    elif mode not in ("L", "RGB", "CMYK"):
        raise Unfit(f"is of colour mode {mode}, expected grey, RGB or CMYK; save it as RGB")
    pixels = _to_array(image)
    if image.mode in ("LA", "RGBA"):
        return _assemble(pixels[:, :, :-1], pixels[:, :, -1], facts, lossless)
    return _assemble(pixels, None, facts, lossless)


def _to_array(image: Image.Image) -> UInt8[Array, "h w c"]:
    """Like `np.asarray`, which would for a moment hold the pixels of a large picture three times over."""
    w, h = image.size
    if w * h <= _SMALL:
        return np.asarray(image).reshape(h, w, -1)
    pixels = np.empty((h, w, len(image.getbands())), np.uint8)
    rows = max(1, 2**20 // w)
    for top in range(0, h, rows):
        strip = image.crop((0, top, w, min(top + rows, h)))
        pixels[top : top + rows] = np.asarray(strip).reshape(-1, w, pixels.shape[2])
    return pixels


def _facts(image: Image.Image) -> Facts:
    orientation, block = None, b""
    if image.format != "PNG" or any("exif" in str(key) for key in image.info):  # else it would decode to look
        with contextlib.suppress(Exception), _quiet():  # damaged EXIF is no reason to refuse the picture
            exif = image.getexif()
            orientation = exif.get(ExifTags.Base.Orientation)
            kept = Image.Exif()  # the rest describes the old file: sizes, strips, thumbnail, orientation
            for tag in TEXT_TAGS:
                if tag in exif:  # as the bytes that were read: Pillow would write ASCII only
                    kept[tag] = str(exif[tag]).encode("latin-1")
            for group in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
                if fields := {k: v for k, v in exif.get_ifd(group).items() if k not in _STALE_EXIF_TAGS}:
                    kept[group] = fields
            block = kept.tobytes() if len(kept) else b""
    return Facts(image.info.get("icc_profile"), orientation, image.info.get("dpi"), block, _frames(image))


def _frames(image: Image.Image) -> int:
    """Frames of an animation, pages of a TIFF."""
    if image.format in ("GIF", "WEBP", "TIFF", "PNG"):
        with contextlib.suppress(Exception), _quiet():  # what follows the first may be damaged
            return int(getattr(image, "n_frames", 1))
    return 1


def _assemble(pixels: Array, alpha: Array | None, facts: Facts, lossless: bool = True) -> Picture:
    """A picture from grey (h w 1), RGB or CMYK of a file and what the file says about them."""
    pixels = to_srgb(pixels, facts.profile)
    h = pixels.shape[0]
    turn = _UPRIGHT.get(facts.orientation) if isinstance(facts.orientation, int) else None
    dpi = _checked_dpi(facts.dpi)
    if turn is not None:
        pixels = np.ascontiguousarray(turn(pixels))
        alpha = None if alpha is None else np.ascontiguousarray(turn(alpha))
        dpi = dpi[::-1] if dpi and pixels.shape[0] != h else dpi
    rgb = pixels if pixels.shape[2] == 3 else np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    return Picture(rgb, alpha, lossless, dpi, facts.exif, facts.frames)


def _checked_dpi(dpi: object) -> tuple[float, float] | None:
    """Resolution along x and y, if it is one: files say 0, infinity or nothing."""
    if not (isinstance(dpi, tuple) and len(dpi) == 2):
        return None
    x, y = float(dpi[0]), float(dpi[1])
    return (x, y) if 1 < x < 65536 and 1 < y < 65536 else None
