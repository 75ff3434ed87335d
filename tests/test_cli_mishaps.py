import os
import resource
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from colorize import images
from colorize.cli import main
from tests.pictures import (
    ROOT,
    files_in,
    good_files,
    photo,
    pillow_bytes,
    run_command,
)


def test_full_disk_leaves_nothing(pictures: Path, weights: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    result = run_command("x/a.jpg", "a.png", "--weights", weights, preexec_fn=small_files)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "x/a-color.jpg: cannot be written: File too large",
        "a-color.png: cannot be written: File too large",
    ]
    assert sorted(files_in(pictures)) == [
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


def test_control_characters_in_names(
    pictures: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = ["new\nline.jpg", "red\x1b[31m.jpg", "turned\u202e.jpg"]
    for name in names:
        Path(name).write_bytes(Path("x/a.jpg").read_bytes())
    Path("no\npicture.jpg").write_bytes(b"nothing")
    command = (*names, "no\npicture.jpg", "--weights", str(weights))
    result = run_command(*command)
    printed = ["new\\nline-color.jpg", "red\\x1b[31m-color.jpg", "turned\\u202e-color.jpg"]
    assert result.stdout.splitlines() == printed
    assert result.stderr.startswith("no\\npicture.jpg: is no picture")
    assert result.stderr.count("\n") == 1
    assert main([*command, "--force", "--null"]) == 1
    assert capfd.readouterr().out == "".join(f"{Path(name).stem}-color.jpg\0" for name in names)


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
