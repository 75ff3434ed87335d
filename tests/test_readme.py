"""Every command of the README is right: settings compose, scripts and files exist, Python runs."""

import re
import shlex
from pathlib import Path

import pytest

from colorize.configuration import check_overrides, quoted_path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = [
    re.sub(r"\s{2,}#.*", "", line).strip()
    for block in re.findall(r"```(?:bash|sh)\n(.*?)```", README, re.S)
    for line in block.splitlines()
    if line.strip() and not line.startswith("#")
]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)


def test_the_readme_has_commands() -> None:
    assert len(SHELL) > 8
    assert PYTHON


@pytest.mark.parametrize("command", SHELL)
def test_command(command: str) -> None:
    words = shlex.split(command)
    if words[:2] == ["python", "train.py"]:
        check_overrides([quoted_path(word) for word in words[2:] if not word.startswith("-")])
    elif words[:2] == ["python", "colorize.py"]:
        from colorize.cli import build_parser

        if words[2:] != ["--help"]:
            build_parser().parse_args(words[2:])
    elif words[:2] == ["python", "-m"]:
        assert (ROOT / (words[2].replace(".", "/") + ".py")).is_file()
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M)
    else:
        assert words[0] in ("git", "cd", "pip", "tensorboard", "tar", "mkdir")


@pytest.mark.parametrize("code", PYTHON)
def test_python(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: Path) -> None:
    (tmp_path / "old.jpg").write_bytes(next((sample / "test").glob("*.jpg")).read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})


def test_linked_files_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README) + re.findall(r'src="([^"]+)"', README):
        assert target.startswith("http") or (ROOT / target).exists(), target
