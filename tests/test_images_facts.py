import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from colorize import images
from colorize.images import Picture
from tests.pictures import (
    H,
    W,
    cmyk_profile,
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
