import hashlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorize import images
from colorize.cli import main
from colorize.colorizer import Colorizer
from colorize.targets import make_plan
from tests.pictures import (
    ROOT,
    H,
    W,
    alpha8,
    alpha16,
    broken_files,
    good_files,
    photo,
    pillow_bytes,
    run_command,
    tiny_colorizer,
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    tiny_colorizer().save(path)
    return path


def _files(folder: Path) -> dict[str, str]:
    """What is in a folder: a digest for each path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


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
        self.before = _files(folder)
        self.run = run_command(folder, "--weights", weights, "--device", "cpu")
        self.written = {name: path for name, path in _files(folder).items() if name not in self.before}


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
    after = _files(album.folder)
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
    assert main([*good, "--weights", "not-even-looked-for"]) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("exists; --force replaces it") == len(good)

    elsewhere = [str(album.folder / name) for name in ("rgb.jpg", "rgba16.tiff", "lossy.webp", "rgb16.png")]
    for jobs in ("1", "5"):
        out_dir = tmp_path / jobs
        assert main([*elsewhere, "-o", str(out_dir), "--jobs", jobs, "--weights", str(weights)]) == 0
        for name, digest in _files(out_dir).items():
            assert digest == album.written[name]
    assert len(_files(tmp_path)) == 2 * len(elsewhere)


def test_force_replaces(tmp_path: Path, weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    images.write(tmp_path / "a.png", images.Picture(photo()))
    (tmp_path / "a-color.png").write_bytes(b"old")
    command = [str(tmp_path / "a.png"), "--weights", str(weights)]
    assert main(command) == 0
    assert (tmp_path / "a-color.png").read_bytes() == b"old"
    assert main([*command, "--force"]) == 0
    assert capfd.readouterr().out == f"{tmp_path / 'a-color.png'}\n"
    assert images.read(tmp_path / "a-color.png").rgb.shape == (H, W, 3)


def test_output_folder_keeps_the_structure(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/deep/er/b.png", "in/.hidden/c.png", "single.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        images.write(name, images.Picture(photo(8, 9)))
    assert main(["in", "single.png", "-o", "out", "--weights", str(weights)]) == 0
    expected = ["out/a-color.png", "out/deep/er/b-color.png", "out/single-color.png"]
    assert capfd.readouterr().out.splitlines() == expected
    assert sorted(str(Path("out", name)) for name in _files(Path("out"))) == expected
    # into a folder within the one that is searched: its results are not coloured again
    for _ in range(2):
        assert main(["in", "-o", "in/out", "--weights", str(weights)]) == 0
    assert sorted(_files(Path("in/out"))) == ["a-color.png", "deep/er/b-color.png"]
    assert "in: skipped 2 results of earlier runs" in capfd.readouterr().err


def test_strip(tmp_path: Path, weights: Path) -> None:
    rgba = np.dstack((photo(), alpha8()))
    Image.fromarray(rgba).save(tmp_path / "a.png")
    command = [str(tmp_path / "a.png"), "--weights", str(weights), "--device", "cpu"]
    assert main([*command, "-o", str(tmp_path / "strip"), "--strip"]) == 0
    assert main(command) == 0
    strip, colored = images.read(tmp_path / "strip" / "a-color.png"), images.read(tmp_path / "a-color.png")
    assert strip.rgb.shape == (H, 2 * W, 3)
    np.testing.assert_array_equal(strip.rgb[:, W:], colored.rgb)
    assert np.ptp(strip.rgb[:, :W], axis=2).max() == 0
    np.testing.assert_array_equal(strip.alpha, np.hstack((alpha8(), alpha8())))


def test_saturation_and_temperature_arrive(tmp_path: Path, weights: Path) -> None:
    path = tmp_path / "a.png"
    images.write(path, images.Picture(photo()))
    assert (
        main(
            [
                str(path),
                "--weights",
                str(weights),
                "--saturation",
                "0.5",
                "--temperature",
                "0",
                "--device",
                "cpu",
            ]
        )
        == 0
    )
    expected = Colorizer.load(weights, device="cpu")(photo(), temperature=0.0, saturation=0.5)
    np.testing.assert_array_equal(images.read(tmp_path / "a-color.png").rgb, expected)


def _plan(paths: list[str], output: str | None = None, force: bool = False) -> tuple[dict[str, str], str]:
    plan = make_plan([Path(p) for p in paths], Path(output) if output else None, force)
    return {str(job.source): str(job.target) for job in plan.jobs}, "\n".join(plan.failures + plan.notes)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder: x/a.jpg, y/a.jpg, y/A.jpg, a.gif, a.png, done.jpg and done-color.jpg."""
    monkeypatch.chdir(tmp_path)
    files = good_files()
    for folder in ("x", "y"):
        Path(folder).mkdir()
        Path(folder, "a.jpg").write_bytes(files["rgb.jpg"])
    for name in ("y/A.jpg", "a.gif", "a.png", "done.jpg", "done-color.jpg"):
        kind = {".jpg": "rgb.jpg", ".gif": "palette.gif", ".png": "rgb.png"}[Path(name).suffix]
        Path(name).write_bytes(files[kind])
    return tmp_path


def test_no_two_pictures_have_one_target(pictures: Path) -> None:
    jobs, why = _plan(["x/a.jpg", "y/a.jpg", "y/A.jpg"])
    assert jobs == {"x/a.jpg": "x/a-color.jpg", "y/a.jpg": "y/a-color.jpg", "y/A.jpg": "y/A-color.jpg"}
    jobs, why = _plan(["x/a.jpg", "y/a.jpg", "y/A.jpg"], "out")
    assert jobs == {"x/a.jpg": "out/a-color.jpg"}
    assert "y/a.jpg: its result out/a-color.jpg is already that of x/a.jpg" in why
    assert "y/A.jpg: its result out/A-color.jpg is already that of x/a.jpg" in why
    jobs, why = _plan(["a.gif", "a.png"])
    assert jobs == {"a.gif": "a-color.png"}
    assert "a.png: its result a-color.png is already that of a.gif" in why


def test_a_picture_given_twice_counts_once(pictures: Path) -> None:
    Path("z").symlink_to("x")
    Path("x/link.jpg").symlink_to("a.jpg")
    jobs, why = _plan(["x/a.jpg", "x", "./x/a.jpg", str(pictures / "x" / "a.jpg"), "z"])
    assert jobs == {"x/a.jpg": "x/a-color.jpg", "x/link.jpg": "x/link-color.jpg"}
    assert why == ""


def test_no_picture_is_a_target(pictures: Path) -> None:
    Path("out").mkdir()
    Path("out/a-color.jpg").write_bytes(Path("x/a.jpg").read_bytes())
    Path("linked").mkdir()
    Path("linked/a-color.jpg").symlink_to("../y/a.jpg")
    for force in (False, True):
        jobs, why = _plan(["x/a.jpg", "out/a-color.jpg"], "out", force)
        assert jobs == {"out/a-color.jpg": "out/a-color-color.jpg"}
        assert "x/a.jpg: its result out/a-color.jpg would replace a picture to be coloured" in why
        jobs, why = _plan(["x/a.jpg", "y"], "linked", force)
        assert "x/a.jpg" not in jobs
        assert "x/a.jpg: its result linked/a-color.jpg would replace a picture to be coloured" in why


def test_results_are_not_coloured_again(pictures: Path) -> None:
    jobs, why = _plan(["done.jpg", "done-color.jpg"])  # what *.jpg is on a second run
    assert jobs == {}
    assert "done-color.jpg: skipped, it is the result of done.jpg" in why
    jobs, why = _plan(["."], force=True)
    assert jobs["done.jpg"] == "done-color.jpg"
    assert "done-color.jpg" not in jobs
    Path("done.jpg").unlink()
    assert _plan(["done-color.jpg"])[0] == {"done-color.jpg": "done-color-color.jpg"}


def test_folders_without_pictures(pictures: Path) -> None:
    Path("empty/inside").mkdir(parents=True)
    Path("empty/notes.txt").write_text("nothing")
    jobs, why = _plan(["empty", "x", "nowhere"])
    assert list(jobs) == ["x/a.jpg"]
    assert "empty: no pictures in this folder, looked for .jpg .jpeg" in why
    assert "nowhere: there is no such file; check the path" in why


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "the following arguments are required: PATH"),
    (["a.png", "--temperature", "-1"], "--temperature: expected a number of 0 or more, got '-1'"),
    (["a.png", "--temperature", "nan"], "--temperature: expected a number of 0 or more, got 'nan'"),
    (["a.png", "--saturation", "inf"], "--saturation: expected a number of 0 or more, got 'inf'"),
    (["a.png", "--saturation", "much"], "--saturation: expected a number of 0 or more, got 'much'"),
    (["a.png", "--jobs", "0"], "--jobs: expected a whole number of 1 or more, got '0'"),
    (["a.png", "--device", "gpu"], "--device: expected auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
    (["a.png", "--colour"], "unrecognized arguments: --colour"),
])  # fmt: skip
def test_wrong_options(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_options_found_wrong_later(pictures: Path, weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("bad.safetensors").write_bytes(b"nothing of the kind")
    for arguments, message in {
        ("--weights", "conv99"): "unknown weights 'conv99'; choose from",
        ("--weights", "bad.safetensors"): "bad.safetensors: damaged, or not a safetensors file",
        ("--weights", str(weights), "--device", "cuda:77"): "no device 'cuda:77' here; expected auto, cpu",
        ("-o", "a.png"): "argument -o/--output: a.png is a file, expected a folder",
    }.items():
        assert main(["x/a.jpg", *arguments]) == 2
        out, err = capfd.readouterr()
        assert out == ""
        assert message in err
        assert err.count("\n") == 1
    assert not Path("x/a-color.jpg").exists()


def test_help_is_quick_and_narrow() -> None:
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        result = run_command("--help", env={**os.environ, "COLUMNS": "80"})
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 1
    assert result.returncode == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    for word in (
        "--weights",
        "--temperature",
        "--saturation",
        "--device",
        "--strip",
        "--force",
        "--jobs",
        "default:",
    ):
        assert word in result.stdout
    code = "import sys, colorize.cli as c\ntry: c.main(['--version'])\nfinally: print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.splitlines()[1] == "False"


def test_full_disk_leaves_nothing(pictures: Path, weights: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    result = run_command("x/a.jpg", "a.png", "--weights", weights, preexec_fn=small_files)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "x/a-color.jpg: cannot be written: File too large",
        "a-color.png: cannot be written: File too large",
    ]
    assert sorted(_files(pictures)) == [
        "a.gif",
        "a.png",
        "done-color.jpg",
        "done.jpg",
        "x/a.jpg",
        "y/A.jpg",
        "y/a.jpg",
    ]


def test_a_file_in_the_way(pictures: Path, weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    Path("out/x").write_text("where a folder should be")
    Path("y/A.jpg").unlink()
    Path("x").rename("all")
    Path("all/x").mkdir()
    Path("all/x/b.jpg").write_bytes(Path("y/a.jpg").read_bytes())
    assert main(["all", "y/a.jpg", "-o", "out", "--weights", str(weights)]) == 1
    out, err = capfd.readouterr()
    assert out == "out/a-color.jpg\n"
    assert "out/x/b-color.jpg: cannot be written: File exists\n" in err
    assert "y/a.jpg: its result out/a-color.jpg is already that of all/a.jpg" in err


def test_odd_names(tmp_path: Path, weights: Path) -> None:
    data = good_files()["rgb.jpg"]
    names = [
        b"-dash.jpg",
        "gr\u00fcn \U0001f333.jpg".encode(),
        b"latin\xff.jpg",
        b"two.dots.jpg",
        b"[markup].jpg",
    ]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(data)
    command = [sys.executable, str(ROOT / "colorize.py"), "--weights", weights, "--", *names]
    result = subprocess.run(command, capture_output=True, check=False, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [name.replace(b".jpg", b"-color.jpg") for name in names]
    assert len(list(tmp_path.iterdir())) == 2 * len(names)


def test_progress_bar_on_a_terminal_only(
    tmp_path: Path, weights: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("long name " * 12) / "[red]"
    for name in ("a.png", "b.png"):
        folder.mkdir(parents=True, exist_ok=True)
        images.write(folder / name, images.Picture(photo(8, 9)))
    lines = [str(folder / name) for name in ("a-color.png", "b-color.png")]
    command = [str(tmp_path), "--weights", str(weights), "--force"]
    assert main(command) == 0
    out, err = capfd.readouterr()
    assert (out.splitlines(), err) == (lines, "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(command) == 0
    out, err = capfd.readouterr()
    assert out.splitlines() == lines
    assert "colouring" in err
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(command) == 0
    assert all(line in capfd.readouterr().err for line in lines[:1])  # whole, above the bar


def test_interrupt_and_broken_pipe(tmp_path: Path, weights: Path) -> None:
    data = pillow_bytes(Image.fromarray(photo(300, 400)), "PNG")
    for number in range(60):
        (tmp_path / f"{number:03}.png").write_bytes(data)
    command = [sys.executable, str(ROOT / "colorize.py"), "--weights", str(weights), str(tmp_path), "--force"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # A background job of a shell ignores SIGINT and hands that on; a terminal's command does not.
    heed = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, preexec_fn=heed, **pipes) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "interrupted\n"
    written = list(tmp_path.glob("*-color.png"))
    assert 0 < len(written) < 60
    assert not list(tmp_path.glob(".*"))
    for path in written:
        images.read(path)  # whole

    with subprocess.Popen(command, **pipes) as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=60)
    assert process.returncode == 141
    assert "Traceback" not in err
    assert "Exception" not in err
    assert not list(tmp_path.glob(".*"))
