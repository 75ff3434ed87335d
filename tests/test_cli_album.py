from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorize import images
from colorize.cli import main
from colorize.colorizer import Colorizer
from tests.pictures import (
    H,
    W,
    alpha8,
    alpha16,
    broken_files,
    files_in,
    good_files,
    run_command,
)


class _Album:
    """A folder with pictures of every kind and broken ones, coloured by one run of the command."""

    def __init__(self, folder: Path, weights: Path) -> None:
        self.folder = folder
        names: set[str] = set()
        for name, data in good_files().items():
            # NAME.gif becomes NAME.png: in a folder of its own it is in nobody's way
            place = folder / ("gifs" if name.endswith(".gif") else "") / name
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(data)
            names.add(str(place.relative_to(folder)))
        (folder / "broken").mkdir()
        for name, (data, _) in broken_files().items():
            (folder / "broken" / name).write_bytes(data)
        (folder / "notes.txt").write_text("no picture, and not named like one")
        (folder / "._rgb.jpg").write_bytes(b"what a Mac leaves behind")
        (folder / "folder.jpg").mkdir()
        self.names = names
        self.before = files_in(folder)
        self.run = run_command(folder, "--weights", weights, "--device", "cpu")
        self.written = {name: path for name, path in files_in(folder).items() if name not in self.before}


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> _Album:
    return _Album(tmp_path_factory.mktemp("album"), weights)


def test_every_picture_has_a_result(album: _Album) -> None:
    def result(name: str) -> str:
        path = Path(name)
        suffix = ".png" if path.suffix == ".gif" or path.stem == "really-png" else path.suffix
        return str(path.with_name(f"{path.stem}-color{suffix}"))

    assert set(album.written) == {result(name) for name in album.names}
    for name in album.names:
        original, colored = images.read(album.folder / name), images.read(album.folder / result(name))
        assert colored.rgb.shape == original.rgb.shape
        assert colored.rgb.dtype == original.rgb.dtype, name
        if min(original.rgb.shape[:2]) > 1 and name not in ("bilevel.png", "fax.tif"):
            assert np.ptp(colored.rgb, axis=2).mean() > 0.01 * np.iinfo(colored.rgb.dtype).max, name


def test_printed_are_the_paths_written(album: _Album) -> None:
    printed = album.run.stdout.splitlines()
    assert sorted(printed) == sorted(str(album.folder / name) for name in album.written)
    assert printed == sorted(printed, key=lambda line: (len(Path(line).parts), line.replace("-color", "")))


def test_broken_files_have_a_line_each(album: _Album) -> None:
    assert album.run.returncode == 1
    lines = album.run.stderr.splitlines()
    assert len(lines) == len(broken_files())
    for name, (_, reason) in broken_files().items():
        (line,) = (line for line in lines if line.startswith(f"{album.folder / 'broken' / name}: "))
        assert reason in line


def test_inputs_are_as_before(album: _Album) -> None:
    after = files_in(album.folder)
    assert {name: after[name] for name in album.before} == album.before
    assert not [path for path in album.folder.rglob("*") if ".tmp" in path.name]


def test_alpha_and_orientation_and_depth(album: _Album) -> None:
    for name, alpha in {
        "rgba": alpha8(),
        "grey-alpha": alpha8(),
        "rgba16": alpha16(),
        "grey-alpha16": alpha16(),
    }.items():
        colored = images.read(album.folder / f"{name}-color.png")
        np.testing.assert_array_equal(colored.alpha, alpha)
    with Image.open(album.folder / "rotated-color.jpg") as rotated:
        assert rotated.size == (H, W)
        assert rotated.getexif().get(274, 1) == 1
        assert rotated.info["dpi"] == (150, 300)
    with Image.open(album.folder / "cmyk-color.jpg") as cmyk:
        assert cmyk.mode == "RGB"


def test_python_gives_the_same(album: _Album, weights: Path) -> None:
    colorizer = Colorizer.load(weights, device="cpu")
    for name in ("rgb.png", "rgba.png", "bilevel.png", "rgb.bmp"):
        path = album.folder / name
        with Image.open(path) as image:
            expected = np.asarray(colorizer(image))
        with Image.open(path.with_stem(path.stem + "-color")) as colored:
            np.testing.assert_array_equal(np.asarray(colored), expected)
    deep = images.read(album.folder / "rgb16.png")
    np.testing.assert_array_equal(images.read(album.folder / "rgb16-color.png").rgb, colorizer(deep.rgb))


def test_second_run_skips_and_one_job_gives_the_same(
    album: _Album, weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good = [str(album.folder / name) for name in sorted(album.names)]
    assert main([*good, "--weights", "nope"]) == 2  # though nothing is left to colour
    assert "error: unknown weights 'nope'; choose from conv8, unet, or" in capfd.readouterr().err
    assert main(good) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("exists; --force replaces it") == len(good)

    elsewhere = [str(album.folder / name) for name in ("rgb.jpg", "rgba16.tiff", "lossy.webp", "rgb16.png")]
    for jobs in ("1", "5"):
        out_dir = tmp_path / jobs
        assert main([*elsewhere, "-o", str(out_dir), "--jobs", jobs, "--weights", str(weights)]) == 0
        for name, digest in files_in(out_dir).items():
            assert digest == album.written[name]
    assert len(files_in(tmp_path)) == 2 * len(elsewhere)
