import io
import os
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from colorize import images
from colorize.images import Picture
from tests.pictures import (
    H,
    W,
    alpha8,
    alpha16,
    broken_files,
    good_files,
    photo,
    photo16,
    pillow_bytes,
    tiff_bytes,
)

ADOBE_RGB = bytes(imagecodecs.cms_profile("adobergb"))
GREY_GAMMA = bytes(imagecodecs.cms_profile("gray", gamma=1.8))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _read(tmp_path: Path, name: str, data: bytes) -> Picture:
    path = tmp_path / name
    path.write_bytes(data)
    return images.read(path)


@pytest.mark.parametrize("name", good_files())
def test_every_kind_of_file_is_read(tmp_path: Path, name: str) -> None:
    picture = _read(tmp_path, name, good_files()[name])
    deep = "16" in name or name == "float.tif"
    assert picture.rgb.dtype == (np.uint16 if deep else np.uint8)
    if name in ("dot.png", "line.png"):
        assert picture.rgb.shape == ((1, 1, 3) if name == "dot.png" else (1, 700, 3))
        return
    expected = (photo16() if deep else photo()).astype(int)
    if "grey" in name or "inverted" in name:
        green = expected[:, :, 1:2]
        if name == "grey-alpha.png":
            green = np.asarray(Image.fromarray(photo()).convert("L"))[:, :, None].astype(int)
        expected = np.repeat(green, 3, axis=2)
    if name == "rotated.jpg":
        expected = np.rot90(expected, -1)
    error = np.abs(picture.rgb.astype(int) - expected)
    if name in ("bilevel.png", "fax.tif"):
        assert set(np.unique(picture.rgb)) == {0, 255}
        assert abs(picture.rgb.mean() - expected.mean()) < 3  # dithering keeps the mean
    elif name in ("lossy.webp", "cmyk.jpg", "rgb.jpg", "grey.jpeg", "rotated.jpg"):
        assert error.mean() < 6
    elif "palette" in name:
        assert error.mean() < 10
    else:
        assert error.max() == 0


def test_alpha_is_exact(tmp_path: Path) -> None:
    for name, data in good_files().items():
        alpha = _read(tmp_path, name, data).alpha
        if name in ("rgba.png", "grey-alpha.png", "lossless-alpha.webp"):
            np.testing.assert_array_equal(alpha, alpha8())
        elif name in ("rgba16.png", "grey-alpha16.png", "rgba16.tiff"):
            np.testing.assert_array_equal(alpha, alpha16())
        elif name == "grey-key.png":
            np.testing.assert_array_equal(alpha, np.where(photo()[:, :, 1] == 200, 0, 255))
        elif name == "palette-alpha.png":
            assert np.abs(alpha.astype(int) - alpha8()).mean() < 12
        else:
            assert alpha is None, name


def test_the_depths_between(tmp_path: Path) -> None:
    levels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    packed = imagecodecs.packints_encode(levels, 12)
    whole = tiff_bytes(levels, photometric="minisblack", rowsperstrip=64)
    with tifffile.TiffFile(io.BytesIO(whole)) as tiff:
        (start,), tags = tiff.pages[0].dataoffsets, tiff.pages[0].tags
        fields = {258: 12, 279: len(packed)}  # BitsPerSample, StripByteCounts
        data = bytearray(whole[:start] + packed)
        for tag, value in fields.items():
            offset = tags[tag].offset + 8
            data[offset : offset + 2] = value.to_bytes(2, "little")
    picture = _read(tmp_path, "a.tif", bytes(data))
    np.testing.assert_array_equal(picture.rgb[:, :, 0], np.rint(levels * (65535 / 4095)).astype(np.uint16))


def test_premultiplied_alpha_is_undone(tmp_path: Path) -> None:
    share = alpha16()[:, :, None] / 65535
    data = tiff_bytes(
        np.dstack((np.rint(photo16() * share).astype(np.uint16), alpha16())),
        photometric="rgb",
        extrasamples=["assocalpha"],
    )
    picture = _read(tmp_path, "a.tif", data)
    np.testing.assert_array_equal(picture.alpha, alpha16())
    error = np.abs(picture.rgb.astype(int) - photo16()) * share  # the fainter, the fewer levels were left
    assert error.max() <= 1


@pytest.mark.parametrize("name", broken_files())
def test_broken_files_give_one_clear_line(tmp_path: Path, name: str) -> None:
    data, reason = broken_files()[name]
    path = tmp_path / name
    path.write_bytes(data)
    messages = []
    for attempt in (
        images.read,
        lambda p: images.read_rgb8(p, 16),
        lambda p: images.read_rgb8(p.read_bytes(), 16),
    ):
        with pytest.raises(ValueError, match=reason) as caught:
            attempt(path)
        messages.append(str(caught.value))
        assert "\n" not in messages[-1]
    assert messages[1] == f"{path}: {messages[2]}", "bytes have no name: what is wrong with them and no more"


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, reason in {
        "folder.jpg": "is a folder",
        "pipe.jpg": "no regular file",
        "none.jpg": "no such file",
    }.items():
        with pytest.raises(ValueError, match=reason):
            images.read(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(good_files()["rgb.png"])
    path.chmod(0)
    with pytest.raises(ValueError, match=r"a\.png: cannot be read: Permission denied"):
        images.read(path)


def test_random_damage_never_escapes_as_another_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, data in good_files().items():
        for _ in range(6):
            damaged = bytearray(data)
            for position in rng.integers(0, len(data), 4):
                damaged[position] = rng.integers(256)
            try:
                picture = _read(tmp_path, name, bytes(damaged))
            except ValueError as error:
                assert "\n" not in str(error)  # noqa: PT017, whether it raises is up to the damage
            else:
                assert picture.rgb.ndim == 3


def test_more_pixels_than_pillow_likes(tmp_path: Path) -> None:
    data = pillow_bytes(
        Image.new("1", (9500, 9500), 1), "PNG"
    )  # 90 megapixels; a warning would be an error here
    assert _read(tmp_path, "a.png", data).rgb.shape == (9500, 9500, 3)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]
)
def test_pillow_images_of_any_mode(mode: str) -> None:
    opaque = Image.fromarray(np.dstack((photo(), np.full((H, W), 255, np.uint8))))
    on_the_way = {"La": "LA", "LA": "RGBA", "RGBa": "RGBA", "RGBA": "RGBA"}.get(mode, "RGB")
    picture = images.from_pillow(opaque.convert(on_the_way).convert(mode))
    error = np.abs(picture.rgb.astype(int) - photo()).mean()
    assert error < (120 if mode == "1" else 60 if mode in ("L", "LA", "La") else 25 if mode == "P" else 3)
    assert (picture.alpha is not None) == (mode in ("LA", "La", "RGBA", "RGBa"))


def test_pillow_images_beyond_8_bits() -> None:
    grey16 = photo16()[:, :, 1]
    for image in (Image.fromarray(grey16), Image.fromarray(grey16.astype(np.int32)),
                  Image.fromarray((grey16 / 65535).astype(np.float32))):  # fmt: skip
        np.testing.assert_array_equal(images.from_pillow(image).rgb[:, :, 0], grey16)
    for image in (Image.fromarray(grey16.astype(np.int32) * 9), Image.fromarray(grey16.astype(np.float32)),
                  Image.new("LAB", (4, 4))):  # fmt: skip
        with pytest.raises(ValueError, match="expected"):
            images.from_pillow(image)
