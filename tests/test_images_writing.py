import os
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from colorize import images
from colorize.images import Picture
from tests.pictures import (
    alpha8,
    alpha16,
    good_files,
    photo,
    photo16,
    pillow_bytes,
)

ADOBE_RGB = bytes(imagecodecs.cms_profile("adobergb"))
GREY_GAMMA = bytes(imagecodecs.cms_profile("gray", gamma=1.8))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp"])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("transparent", [False, True])
def test_write_and_read(tmp_path: Path, suffix: str, deep: bool, transparent: bool) -> None:
    alpha = (alpha16() if deep else alpha8()) if transparent else None
    picture = Picture(photo16() if deep else photo(), alpha, dpi=(300.0, 200.0))
    path = tmp_path / f"a{suffix}"
    if transparent and suffix in (".jpg", ".bmp"):
        with pytest.raises(ValueError, match="cannot hold transparency"):
            images.write(path, picture)
        assert list(tmp_path.iterdir()) == []
        return
    images.write(path, picture)
    assert list(tmp_path.iterdir()) == [path]
    again = images.read(path)
    keeps = suffix in (".png", ".tif")
    expected = picture.rgb if keeps else images.to_8bit(picture.rgb)
    assert again.rgb.dtype == expected.dtype
    assert np.abs(again.rgb.astype(int) - expected).max() <= (14 if suffix == ".jpg" else 0)
    if transparent:
        np.testing.assert_array_equal(again.alpha, alpha if keeps else images.to_8bit(alpha))
    if suffix != ".webp":
        assert again.dpi == pytest.approx((300, 200), abs=0.1)


def test_jpeg_keeps_colour_at_full_resolution(tmp_path: Path) -> None:
    images.write(tmp_path / "a.jpg", Picture(photo()))
    with Image.open(tmp_path / "a.jpg") as written:
        assert [layer[1:3] for layer in written.layer] == [(1, 1)] * 3


def test_words_are_kept_in_every_format(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[33432] = "© Ann".encode()
    picture = Picture(photo16(), exif=exif.tobytes())
    for suffix in (".png", ".tif", ".jpg", ".webp"):
        images.write(tmp_path / f"a{suffix}", picture)
        again = Image.Exif()
        again.load(images.read(tmp_path / f"a{suffix}").exif)
        assert again[33432].encode("latin-1").decode() == "© Ann"


def test_failure_to_write_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"before")
    with pytest.raises(RuntimeError, match="midway"), images.replacing(path) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half of it")
        raise RuntimeError("midway")
    assert path.read_bytes() == b"before"
    with pytest.raises(FileNotFoundError):
        images.write(tmp_path / "none" / "a.png", Picture(photo()))
    for name, reason in {
        "a.gif": "cannot write .gif, expected .jpg",
        "a": "without a suffix",
        "a.webp": "at most 16383",
    }.items():
        with pytest.raises(ValueError, match=reason):
            images.write(tmp_path / name, Picture(np.zeros((1, 17_000, 3), np.uint8)))
    assert list(tmp_path.iterdir()) == [path]


def test_written_files_obey_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        images.write(tmp_path / "a.png", Picture(photo()))
    finally:
        os.umask(before)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o640


def test_suffix_of_the_result(tmp_path: Path) -> None:
    files = good_files()
    v5 = (
        (138).to_bytes(4, "little") + (124).to_bytes(4, "little") + (2).to_bytes(4, "little") * 2
    )  # 2 x 2 pixels
    masks = b"\0\0\xff\0\0\xff\0\0\xff\0\0\0\0\0\0\xff"
    header = (
        b"BM" + (154).to_bytes(4, "little") + bytes(4) + v5 + b"\x01\0\x20\0\x03\0\0\0" + bytes(20) + masks
    )
    expected = {
        "A.JPG": (files["rgb.jpg"], ".JPG"),
        "b.jpeg": (files["rgb.jpg"], ".jpeg"),
        "c.png": (files["rgb.jpg"], ".jpg"),
        "d.jpg": (files["rgb16.png"], ".png"),
        "e": (files["rgb.tif"], ".tif"),
        "f.gif": (files["palette.gif"], ".png"),
        "g.bmp": (files["rgb.bmp"], ".bmp"),
        "h.bmp": (header.ljust(138, b"\0") + bytes(range(16)), ".png"),  # with transparency
        "i.x.webp": (files["lossy.webp"], ".webp"),
    }
    for name, (data, suffix) in expected.items():
        (tmp_path / name).write_bytes(data)
        assert images.result_suffix(tmp_path / name) == suffix
    assert images.read(tmp_path / "h.bmp").alpha is not None


def test_resize_is_pillows_antialiased_bicubic() -> None:
    rgb = photo(90, 130)
    expected = np.asarray(Image.fromarray(rgb).resize((46, 32), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(images.resize(rgb, 32), expected)
    grey = np.broadcast_to(rgb[:, :, 1:2], rgb.shape)
    np.testing.assert_array_equal(images.resize(grey, 32), images.resize(np.ascontiguousarray(grey), 32))
    np.testing.assert_array_equal(images.resize(rgb.astype(np.uint16) * 257, 32), expected)


def test_resize_of_large_pictures_is_nearly_the_same() -> None:
    rgb = photo(701, 1003)  # means of squares come first, those of the last row and column of fewer pixels
    exact = np.asarray(Image.fromarray(rgb).resize((46, 32), Image.Resampling.BICUBIC)).astype(int)
    result = images.resize(rgb, 32)
    assert np.abs(result - exact).max() <= 2
    assert np.abs(result - exact).mean() < 0.3
    np.testing.assert_array_equal(images.resize(rgb.astype(np.uint16) * 257, 32), result)
    grey = np.broadcast_to(rgb[:, :, 1:2], rgb.shape)
    np.testing.assert_array_equal(images.resize(grey, 32)[:, :, 2], result[:, :, 1])


@pytest.mark.parametrize(("h", "w", "expected"), [
    (480, 640, (64, 85)), (640, 480, (85, 64)), (1, 1, (64, 64)), (1, 10_000, (64, 512)), (900, 2, (512, 64)),
])  # fmt: skip
def test_size_at_which_networks_see(h: int, w: int, expected: tuple[int, int]) -> None:
    assert images.resize(np.zeros((h, w, 3), np.uint8), 64).shape == (*expected, 3)


def test_reading_for_training(sample: Path, tmp_path: Path) -> None:
    path = sample / "test" / "skimage-coffee.jpg"
    whole = images.read_rgb8(path)
    assert whole.dtype == np.uint8
    assert whole.flags.c_contiguous
    np.testing.assert_array_equal(images.read_rgb8(path.read_bytes(), 128), images.read_rgb8(path, 128))
    big = Image.fromarray(whole).resize((1600, 1200), Image.Resampling.BICUBIC)
    data = pillow_bytes(big, "JPEG", quality=95)
    fast, exact = images.read_rgb8(data, 64), images.resize(images.read_rgb8(data), 64)
    assert fast.shape == exact.shape
    assert 0 < np.abs(fast.astype(int) - exact).mean() < 1.5
    for name, file in good_files().items():
        small = images.read_rgb8(file, 24)
        assert small.dtype == np.uint8
        assert min(small.shape[:2]) == 24, name
