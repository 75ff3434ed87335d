"""Every command of the README runs: on the sample photographs, under the README's names, shortened."""

import re
import shlex
import shutil
import tarfile
from pathlib import Path

import pytest

from colorize import cli
from colorize.configuration import check_overrides, compose_config, quoted_path
from colorize.released import RELEASED
from colorize.training import train

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = [
    re.sub(r"\s{2,}#.*", "", line).strip()
    for block in re.findall(r"```(?:bash|sh)\n(.*?)```", README, re.S)
    for line in block.splitlines()
    if line.strip() and not line.startswith("#")
]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)
SHORT = [
    "loss.bins.step=20", "loss.bins.source=srgb", "data.image_size=24", "data.window=24", "data.batch_size=4",
    "trainer.max_steps=1", "trainer.val_every_steps=1", "trainer.precision=32-true",
]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, sample: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the README speaks of."""
    photos = sorted((sample / "test").glob("*.jpg"))[:4]
    (tmp_path / "old.jpg").write_bytes(photos[0].read_bytes())
    for folder in ("album", "my_photos", "data/ot8/train"):
        (tmp_path / folder).mkdir(parents=True)
        for photo in photos[: 1 if folder == "album" else 4]:
            shutil.copy(photo, tmp_path / folder)
    (tmp_path / "shards").mkdir()
    for number in range(4):
        with tarfile.open(tmp_path / f"shards/photos-{number:03d}.tar", "w") as tar:
            tar.add(photos[number], arcname=photos[number].name)
    (tmp_path / "outputs/demo").mkdir(parents=True)
    shutil.copy(RELEASED / "conv8.safetensors", tmp_path / "outputs/demo/model.safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_has_commands() -> None:
    assert len(SHELL) > 8
    assert PYTHON


@pytest.mark.parametrize("command", SHELL)
def test_command(command: str, place: Path) -> None:
    words = shlex.split(command)
    if words[:2] == ["python", "train.py"]:
        overrides = [quoted_path(word) for word in words[2:] if not word.startswith("-")]
        check_overrides(overrides)
        if "-m" not in words:
            train(compose_config([*overrides, *SHORT]), place / "run")
            assert (place / "run/model.safetensors").is_file()
    elif words == ["python", "colorize.py", "--help"]:
        with pytest.raises(SystemExit, match="0"):
            cli.main(words[2:])
    elif words[:2] == ["python", "colorize.py"]:
        assert cli.main(words[2:]) == 0
        assert list(place.rglob("*-color.jpg"))
    elif words[:2] == ["python", "-m"]:
        assert (ROOT / (words[2].replace(".", "/") + ".py")).is_file()  # tests/test_scripts.py runs them
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M)
    else:
        assert words[0] in ("pip", "tensorboard")


@pytest.mark.parametrize("code", PYTHON)
def test_python(code: str, place: Path) -> None:
    exec(compile(code, "README.md", "exec"), {})
    assert (place / "coloured.png").is_file()


def test_linked_files_exist() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README) + re.findall(r'src="([^"]+)"', README)
    assert targets
    for target in targets:
        assert target.startswith("http") or (ROOT / target).exists(), target
