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
    cmyk_profile,
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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_forgotten(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[274], exif[271] = orientation, "Maker"
    upright = Image.fromarray(photo())
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions that lie the other way
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    data = pillow_bytes(stored, "PNG", exif=exif, dpi=(300, 150))
    picture = _read(tmp_path, "a.png", data)
    np.testing.assert_array_equal(picture.rgb, photo())
    across, down = picture.dpi
    assert (across > down) == (orientation < 5)

    for suffix in (".jpg", ".png", ".webp", ".tif"):
        images.write(tmp_path / f"b{suffix}", picture)
        with Image.open(tmp_path / f"b{suffix}") as written:
            assert written.size == (W, H)
            assert written.getexif().get(274, 1) == 1
            assert written.getexif()[271] == "Maker"
            if suffix != ".webp":
                assert written.info["dpi"] == pytest.approx(picture.dpi, abs=0.1)
    with Image.open(io.BytesIO(data)) as original:
        np.testing.assert_array_equal(images.from_pillow(original).rgb, photo())


def test_what_exif_says_about_the_photograph_is_kept(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[272], exif[256] = "Camera 1", 99
    exif[0x8769] = {0x829A: 0.25, 0xA002: 99, 0x927C: b"maker's secrets"}
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.5)}
    image = Image.open(io.BytesIO(pillow_bytes(Image.fromarray(photo()), "JPEG", exif=exif)))
    picture = images.from_pillow(image)
    assert image.getexif()[256] == 99  # the caller's image is as before
    images.write(tmp_path / "a.jpg", picture)
    with Image.open(tmp_path / "a.jpg") as written:
        kept = written.getexif()
        assert kept[272] == "Camera 1"
        assert kept.get_ifd(0x8825)[2] == (52.0, 31.0, 12.5)
        assert kept.get_ifd(0x8769) == {0x829A: 0.25}
        assert 256 not in kept


def test_damaged_exif_is_no_reason_to_refuse(tmp_path: Path) -> None:
    data = pillow_bytes(
        Image.fromarray(photo()), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x01" * 40
    )
    assert _read(tmp_path, "a.jpg", data).exif == b""


def _through_profile(image: Image.Image, profile: bytes, mode: str = "RGB") -> np.ndarray:
    converted = ImageCms.profileToProfile(
        image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode=mode
    )
    return np.asarray(converted).astype(int)


@pytest.mark.parametrize(
    ("mode", "profile"), [("RGB", ADOBE_RGB), ("L", GREY_GAMMA), ("CMYK", cmyk_profile())]
)
def test_profiles_are_converted_as_pillow_does(tmp_path: Path, mode: str, profile: bytes) -> None:
    image = Image.fromarray(photo()).convert(mode)
    picture = _read(tmp_path, "a.tif", pillow_bytes(image, "TIFF", icc_profile=profile))
    expected = _through_profile(image, profile)
    assert np.abs(expected - np.asarray(image.convert("RGB"))).mean() > 1  # the profile makes a difference
    assert np.abs(picture.rgb - expected).max() <= 1
    np.testing.assert_array_equal(
        images.from_pillow(image).rgb, _read(tmp_path, "b.tif", pillow_bytes(image, "TIFF")).rgb
    )


def test_profiles_are_converted_at_16_bits(tmp_path: Path) -> None:
    picture = _read(tmp_path, "a.tif", tiff_bytes(photo16(), photometric="rgb", iccprofile=ADOBE_RGB))
    coarse = Image.fromarray((photo16() // 257).astype(np.uint8))
    assert picture.rgb.dtype == np.uint16
    assert np.abs(picture.rgb / 257 - _through_profile(coarse, ADOBE_RGB)).mean() < 0.8
    assert len(np.unique(picture.rgb % 257)) == 257  # and not only 256 levels of them

    grey = _read(
        tmp_path, "b.tif", tiff_bytes(photo16()[:, :, 0], photometric="minisblack", iccprofile=GREY_GAMMA)
    )
    linear = (photo16()[:, :, 0] / 65535) ** 1.8
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 65535
    assert np.abs(grey.rgb[:, :, 0] - expected).max() < 4


@pytest.mark.parametrize("profile", [SRGB, b"junk" * 50, ADOBE_RGB[:300], GREY_GAMMA])
def test_srgb_and_unusable_profiles_change_nothing(tmp_path: Path, profile: bytes) -> None:
    data = pillow_bytes(Image.fromarray(photo()), "PNG", icc_profile=profile)
    np.testing.assert_array_equal(_read(tmp_path, "a.png", data).rgb, photo())


def test_grey_under_an_rgb_profile(tmp_path: Path) -> None:
    grey = Image.fromarray(photo()[:, :, 1])
    picture = _read(tmp_path, "a.png", pillow_bytes(grey, "PNG", icc_profile=SRGB))
    np.testing.assert_array_equal(picture.rgb[:, :, 2], photo()[:, :, 1])
    picture = _read(tmp_path, "b.png", pillow_bytes(grey, "PNG", icc_profile=ADOBE_RGB))
    assert np.abs(picture.rgb - _through_profile(grey.convert("RGB"), ADOBE_RGB)).max() <= 1


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
