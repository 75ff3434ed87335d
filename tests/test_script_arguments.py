"""Wrong arguments of the scripts: one line and exit code 2, before the work begins."""

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from colorize import Colorizer
from scripts import arguments
from tests.pictures import ROOT, tiny_colorizer


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a script in this process, in the repository's folder."""

    def run(name: str, *words: str) -> None:
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, "argv", [name, *words])
        arguments.run(importlib.import_module(f"scripts.{name}").main)

    return run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("evaluate data=data/sample/val temperature=[a]", "temperature takes numbers of 0 or more, got 'a'"),
        ("evaluate data=data/sample/val temperature=[-1]", "temperature takes numbers of 0 or more, got -1"),
        ("evaluate data=data/sample/val saturation=inf", "saturation takes numbers of 0 or more, got 'inf'"),
        ("choose data=data/sample/val temperature=[]", "temperature takes one number or more, got none"),
        ("choose data=data/sample/val vividness=null", "vividness takes numbers of 0 or more, got None"),
        ("choose data=data/sample/val guide=[1,2]", "guide takes one number, got [1, 2]"),
        ("choose data=data/sample/val below_gray=[]", "below_gray takes one number, got []"),
        ("convert weights=nowhere.pth out=x.safetensors", "nowhere.pth: No such file or directory"),
        ("convert weights=5 out=x.safetensors image_size=x", "image_size must be from 1 to 8192, got 'x'"),
        ("convert weights=README.md out=x.safetensors", "README.md is no state dict: damaged, or it holds"),
        ("prior data=data/sample/val bins=5", "prior takes data=, image_size=, bins.source=, bins.step="),
        ("release weights=x name=x command=c hardware=h licence=l guide=a", "guide takes numbers of 0 or"),
        ("evaluate data=5", "data takes a folder, a .txt list, .tar shards or a list of those; got 5"),
        ("evaluate data=nowhere", "there is no nowhere; data takes a folder"),
        ("strips only=[nosuch]", "only: there is no photograph nosuch in data/sample/test"),
        ("strips sheet=/nope/x.png", "sheet: there is no folder /nope"),
        ("strips sheet=x.webm", "sheet must end in .png, got x.webm"),
        ("strips data=5", "data takes a folder"),
        ("benchmark runs=0", "runs must be 2 or more, got 0"),
        ("benchmark runs=1", "runs must be 2 or more, got 1"),
        ("benchmark data=nowhere", "there is no nowhere; data takes a folder"),
        ("release weights=x name=a/b command=c hardware=h licence=l", "name takes letters"),
        ("release weights=x name=.. command=c hardware=h licence=l", "name takes letters"),
        ("release weights=x name=conv8 command=c hardware=h licence=l", "exists; force=true replaces it"),
    ],
)
def test_wrong_arguments_are_one_line(
    words: str,
    message: str,
    call: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Colorizer, "load", lambda *_, **__: pytest.fail("the work began"))
    with pytest.raises(SystemExit) as stopped:
        call(*words.split())
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_one_number_is_as_good_as_a_list_of_one() -> None:
    assert arguments.numbers("temperature", 0.5) == arguments.numbers("temperature", [0.5]) == [0.5]


def test_release_replaces_weights_only_by_force(
    call: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.release.RELEASED", tmp_path)
    tiny_colorizer().save(tmp_path / "mine.safetensors")
    words = [f"weights={tmp_path}/mine.safetensors", "command=c", "hardware=h", "licence=l"]
    call("release", *words, "name=tiny", "temperature=0.5")
    with pytest.raises(SystemExit):
        call("release", *words, "name=tiny", "temperature=0.7")
    assert Colorizer.load(tmp_path / "tiny.safetensors").temperature == 0.5
    call("release", *words, "name=tiny", "temperature=0.7", "force=true")
    assert Colorizer.load(tmp_path / "tiny.safetensors").temperature == 0.7


SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py") if "__main__" in path.read_text())


@pytest.mark.parametrize("name", SCRIPTS)
def test_usage_fits_80_columns(name: str) -> None:
    usage = ast.get_docstring(ast.parse((ROOT / f"scripts/{name}.py").read_text()))
    assert usage is not None
    assert usage.startswith(f"python -m scripts.{name} ")
    assert max(map(len, usage.splitlines())) <= 80
