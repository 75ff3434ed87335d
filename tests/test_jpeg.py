"""JPEG without Pillow's copies gives what Pillow gives, to the byte."""

import io
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from colorize import images
from colorize.images import Picture, jpeg
from tests.pictures import photo, pillow_bytes


def _files() -> dict[str, bytes]:
    rgb, odd = Image.fromarray(photo(120, 90)), Image.fromarray(photo(37, 53))
    return {
        "4:2:0": pillow_bytes(rgb, "JPEG", quality=85),
        "4:2:2, odd size": pillow_bytes(odd, "JPEG", subsampling="4:2:2"),
        "4:4:4": pillow_bytes(rgb, "JPEG", subsampling="4:4:4"),
        "restart markers": pillow_bytes(rgb, "JPEG", restart_marker_blocks=4),
        "grey": pillow_bytes(odd.convert("L"), "JPEG"),
        "RGB inside": pillow_bytes(rgb, "JPEG", keep_rgb=True),
    }


@pytest.mark.parametrize("name", _files())
def test_decode_equals_pillow(name: str) -> None:
    data = _files()[name]
    with Image.open(io.BytesIO(data)) as image:
        pixels = jpeg.decode(io.BytesIO(data), image)
        assert pixels is not None
        np.testing.assert_array_equal(pixels.squeeze(), np.asarray(image))


def test_what_may_not_be_whole_is_left_to_pillow() -> None:
    whole = _files()["4:2:0"]
    scan = whole.index(b"\xff\xda")
    empty = whole[: scan + 2 + int.from_bytes(whole[scan + 2 : scan + 4])] + b"\xff\xd9"
    progressive = pillow_bytes(Image.fromarray(photo(120, 90)), "JPEG", progressive=True)
    for data in (progressive, empty, progressive[: progressive.rindex(b"\xff\xda")] + b"\xff\xd9"):
        with Image.open(io.BytesIO(data)) as image:
            assert jpeg.decode(io.BytesIO(data), image) is None
    with Image.open(io.BytesIO(whole)) as image:
        for data in (whole[:-1], whole[: len(whole) // 2], whole + b"\0", b"\xff\xd8\xff\xd9"):
            assert jpeg.decode(io.BytesIO(data), image) is None
    with Image.open(io.BytesIO(pillow_bytes(Image.new("CMYK", (9, 9)), "JPEG"))) as image:
        assert jpeg.decode(io.BytesIO(whole), image) is None
    with pytest.raises(ValueError, match="cut off"):
        images.read_rgb8(whole[: len(whole) // 2])
    np.testing.assert_array_equal(images.read_rgb8(whole + b"\0"), images.read_rgb8(whole))


@pytest.mark.parametrize("about", [{}, {"dpi": (300, 200)}, {"exif": True}, {"dpi": (72, 72), "exif": True}])
def test_encode_equals_pillow(about: dict[str, Any]) -> None:
    if "exif" in about:
        exif = Image.Exif()
        exif[0x010E] = "\xff\xdb and \xff\xd9 may stand in a text"
        about = {**about, "exif": exif.tobytes()}
    pixels = photo(61, 83)
    expected = pillow_bytes(Image.fromarray(pixels), "JPEG", quality=95, subsampling=0, **about)
    assert jpeg.encode(pixels, 95, **about) == expected


def test_grey_pictures_are_written_as_rgb(tmp_path: Any) -> None:
    grey = np.broadcast_to(photo(20, 30)[:, :, :1], (20, 30, 3))
    images.write(tmp_path / "a.jpg", Picture(grey))
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.mode == "RGB"
        assert np.ptp(np.asarray(image).astype(int), axis=2).max() <= 1


def test_the_encoders_are_of_one_library() -> None:
    """Else equality above would be luck."""
    assert "turbo" in imagecodecs.jpeg8_version()
