import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorize import images
from colorize.cli import main
from colorize.colorizer import Colorizer
from tests.pictures import (
    ROOT,
    H,
    W,
    alpha8,
    files_in,
    photo,
    run_command,
)


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
    assert sorted(str(Path("out", name)) for name in files_in(Path("out"))) == expected
    # into a folder within the one that is searched: its results are not coloured again
    for _ in range(2):
        assert main(["in", "-o", "in/out", "--weights", str(weights)]) == 0
    assert sorted(files_in(Path("in/out"))) == ["a-color.png", "deep/er/b-color.png"]
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
        ("-o", os.devnull): f"argument -o/--output: {os.devnull} is a file, expected a folder",
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
