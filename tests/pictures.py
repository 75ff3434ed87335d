"""Pictures of every kind, a tiny network and the command itself, for the tests of images, colorizer, cli."""

import functools
import hashlib
import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
import torch
from PIL import Image

from colorize.bins import Bins, srgb_centers
from colorize.colorizer import Colorizer
from colorize.networks import make_network

ROOT = Path(__file__).resolve().parent.parent
H, W = 48, 64


def photo(h: int = H, w: int = W) -> np.ndarray:
    """Something like a photograph, without symmetry: uint8 h w 3."""
    y, x = np.mgrid[0:h, 0:w] / max(h, w)
    waves = [
        128 + 100 * np.sin(7 * x + 3 * y + phase) * np.cos(4 * y - phase * x) for phase in (0.0, 0.6, 1.4)
    ]
    noise = np.random.default_rng(0).normal(0, 3, (h, w, 3))
    return (np.stack(waves, axis=2) + noise).clip(0, 255).astype(np.uint8)


def photo16(h: int = H, w: int = W) -> np.ndarray:
    """`photo` with 16 bits that are all used."""
    fine = np.random.default_rng(1).integers(0, 257, (h, w, 3))
    return (photo(h, w).astype(np.int64) * 256 + fine).astype(np.uint16)


def alpha8() -> np.ndarray:
    return np.linspace(0, 255, H * W).reshape(H, W).astype(np.uint8)


def alpha16() -> np.ndarray:
    return np.linspace(0, 65535, H * W).reshape(H, W).astype(np.uint16)


def pillow_bytes(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff_bytes(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def png16_bytes(pixels: np.ndarray) -> bytes:
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))


def png_bomb(bits: int) -> bytes:
    """A PNG of a few bytes that says that it has 2500 megapixels."""
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", 50_000, 50_000, bits, 2, 0, 0, 0),
        b"IDAT": zlib.compress(bytes(99)),
    }
    chunks = (
        struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def good_files() -> dict[str, bytes]:
    """A file of every kind that is read, by name."""
    rgb, grey = Image.fromarray(photo()), Image.fromarray(photo()[:, :, 1])
    rgba = Image.fromarray(np.dstack((photo(), alpha8())))
    rgb16, grey16 = photo16(), photo16()[:, :, 1]
    rgba16 = np.dstack((rgb16, alpha16()))
    rotated = Image.Exif()
    rotated[274] = 6
    return {
        "rgb.jpg": pillow_bytes(rgb, "JPEG", quality=95),
        "grey.jpeg": pillow_bytes(grey, "JPEG", quality=95),
        "cmyk.jpg": pillow_bytes(rgb.convert("CMYK"), "JPEG", quality=95),
        "rotated.jpg": pillow_bytes(rgb, "JPEG", quality=95, exif=rotated, dpi=(300, 150)),
        "rgb.png": pillow_bytes(rgb, "PNG"),
        "rgba.png": pillow_bytes(rgba, "PNG"),
        "grey-alpha.png": pillow_bytes(rgba.convert("LA"), "PNG"),
        "palette.png": pillow_bytes(rgb.quantize(256), "PNG"),
        "palette-alpha.png": pillow_bytes(rgba.quantize(200), "PNG"),
        "grey-key.png": pillow_bytes(grey, "PNG", transparency=200),
        "bilevel.png": pillow_bytes(rgb.convert("1"), "PNG"),
        "grey16.png": png16_bytes(grey16),
        "grey-alpha16.png": png16_bytes(np.dstack((grey16, alpha16()))),
        "rgb16.png": png16_bytes(rgb16),
        "rgba16.png": png16_bytes(rgba16),
        "lossy.webp": pillow_bytes(rgb, "WEBP", quality=90),
        "lossless-alpha.webp": pillow_bytes(rgba, "WEBP", lossless=True, exact=True),
        "rgb.tif": pillow_bytes(rgb, "TIFF", compression="tiff_lzw"),
        "cmyk.tif": pillow_bytes(rgb.convert("CMYK"), "TIFF"),
        "fax.tif": pillow_bytes(rgb.convert("1"), "TIFF", compression="group4"),
        "rgb16.tif": tiff_bytes(rgb16, photometric="rgb"),
        "rgba16.tiff": tiff_bytes(rgba16, photometric="rgb", extrasamples=["unassalpha"], compression="lzw"),
        "planes16.tif": tiff_bytes(np.moveaxis(rgb16, 2, 0), photometric="rgb", planarconfig="separate"),
        "inverted16.tif": tiff_bytes(65535 - grey16, photometric="miniswhite"),
        "float.tif": tiff_bytes((rgb16 / 65535).astype(np.float32), photometric="rgb"),
        "rgb.bmp": pillow_bytes(rgb, "BMP"),
        "palette.gif": pillow_bytes(rgb.quantize(256), "GIF"),
        "dot.png": pillow_bytes(Image.new("RGB", (1, 1), (200, 100, 50)), "PNG"),
        "line.png": pillow_bytes(grey.resize((700, 1)), "PNG"),
        "really-png.jpg": pillow_bytes(rgb, "PNG"),
    }


def broken_files() -> dict[str, tuple[bytes, str]]:
    """Files that cannot be read, by name, and a part of what is said about each."""
    good = good_files()
    return {
        "empty.jpg": (b"", "is empty"),
        "text.jpg": (b"not a picture at all", "no picture of a known format"),
        "head.png": (good["rgb.png"][:8], "broken or cut off"),
        "half.jpg": (good["rgb.jpg"][: len(good["rgb.jpg"]) // 2], "broken or cut off"),
        "half.png": (good["rgb.png"][: len(good["rgb.png"]) // 2], "broken or cut off"),
        "half16.png": (good["rgb16.png"][: len(good["rgb16.png"]) // 2], "broken or cut off"),
        "half16.tif": (good["rgb16.tif"][:-5000], "broken or cut off"),
        "half-lzw.tiff": (good["rgba16.tiff"][:3000], "broken or cut off"),
        "half.webp": (good["lossy.webp"][:300], "broken or cut off"),
        "frame.gif": (good["palette.gif"][:1500], "broken or cut off"),
        "half.bmp": (good["rgb.bmp"][:3000], "broken or cut off"),
        "bomb.png": (png_bomb(8), "million pixels"),
        "bomb16.png": (png_bomb(16), "million pixels"),
        "counts.tif": (
            tiff_bytes(photo16().astype(np.int32), photometric="rgb"),
            "expected grey, RGB or CMYK in 16",
        ),
        "beyond.tif": (tiff_bytes(photo16().astype(np.float32), photometric="rgb"), "expected 0 to 1"),
    }


def cmyk_profile() -> bytes:
    """An ICC profile of ideal inks: Lab of (1 - C)(1 - K) and so on, at the 16 corners of CMYK."""
    from skimage.color import rgb2lab

    corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * 4, indexing="ij"), axis=-1).reshape(1, 16, 4)
    lab = rgb2lab((1 - corners[:, :, :3]) * (1 - corners[:, :, 3:]))[0]
    table = np.rint(lab * (255 / 100, 1, 1) + (0, 128, 128)).clip(0, 255).astype(np.uint8).tobytes()
    identity = struct.pack(">9I", *(0x10000 * int(i % 4 == 0) for i in range(9)))
    ramp = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + identity + ramp * 4 + table + ramp * 3
    lut += bytes(-len(lut) % 4)
    size = 128 + 4 + 12 + len(lut)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02100000, b"prtr", b"CMYK", b"Lab ") + bytes(12)
    header += b"acsp" + bytes(28) + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    header += bytes(128 - len(header))
    return header + struct.pack(">I4sII", 1, b"A2B0", 144, len(lut)) + lut


@functools.cache
def _tiny_bins() -> Bins:
    return Bins(srgb_centers(40.0))


def tiny_colorizer() -> Colorizer:
    """A network of chance that is fast and gives strong colours."""
    torch.manual_seed(0)
    bins = _tiny_bins()
    centers = bins.centers
    network = make_network("conv8", len(centers))
    torch.nn.init.normal_(list(network.parameters())[-2], std=1.0)
    prior = torch.full((len(centers),), 1 / len(centers))
    return Colorizer(network, bins, name="conv8", prior=prior, bins_info={"source": "srgb", "step": 40})


def run_command(*arguments: str | os.PathLike[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """`python colorize.py ...` as a user runs it."""
    command = [sys.executable, str(ROOT / "colorize.py"), *map(os.fspath, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function without the checks of types that the tests switch on, to see its own."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def files_in(folder: Path) -> dict[str, str]:
    """What is in a folder: a digest for each path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
