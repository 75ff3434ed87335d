"""The studies' scripts: settings in, tables, CSVs, pictures and findings out."""

import csv
import functools
import gzip
import hashlib
import http.server
import importlib
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torchvision.datasets
from omegaconf import OmegaConf
from PIL import Image

from colorize.configuration import CONFIGS, check_overrides, compose_config
from colorize.data.toy import mnist
from colorize.studies.settings import RANGES, check_settings
from scripts.study import study

ROOT = Path(__file__).resolve().parent.parent
STUDIES = sorted(path.stem.removeprefix("study_") for path in CONFIGS.glob("study_*.yaml"))
TINY = {
    "activations": ["runs=1", "activations=[relu,sigmoid]", "epochs=1", "width=8"],
    "gradients": ["runs=1", "activations=[sigmoid,relu]", "depth=3", "width=8", "steps=4", "measured=2"],
    "landscape": ["runs=1", "hidden=[6,6]", "steps=5", "rules.steps=4"],
    "line": ["runs=2", "epochs=2", "samples=12", "outliers=1"],
    "places": ["runs=2", "steps=3"],
    "sweep": ["runs=1", "photographs.root=data/sample/train", "photographs.train=6", "photographs.val=4"],
    "temperature": ["temperatures=[1.0,0.38]"],
}


class Done(NamedTuple):
    """What a script left on the terminal."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """python -m scripts.study_NAME key=value ..., without the seconds that a new process takes to import."""

    def run(name: str, *words: str) -> Done:
        monkeypatch.setattr(sys, "argv", [f"study_{name}", *words])
        module = importlib.import_module(f"scripts.study_{name}")
        status = 0
        try:
            study(module.main, name, module.__doc__)
        except SystemExit as end:
            status = int(str(end.code))
        return Done(status, *capsys.readouterr())

    return run


def test_there_are_seven_studies_each_with_a_script() -> None:
    assert len(STUDIES) == 7
    for name in STUDIES:
        assert (ROOT / f"scripts/study_{name}.py").is_file()
        assert {"seed", "threads", "out"} <= set(compose_config((), f"study_{name}"))


@pytest.mark.parametrize("name", STUDIES)
def test_every_script_runs_whole(name: str, script, digits: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    words = [f"out={out}", *TINY[name]]
    if name == "activations":
        words += [f"data.root={digits}", "data.digits=64"]
    if name == "sweep":
        settings = compose_config((), "study_sweep").settings
        quick = [word for word in settings if not word.startswith(("trainer.max", "trainer.val"))]
        quoted = [f"'{word}'" for word in [*quick, "trainer.max_steps=2", "trainer.val_every_steps=1"]]
        words += [f"settings=[{','.join(quoted)}]"]
    done = script(name, *words)
    assert done.status == 0, done.stderr
    assert "Finding: " in done.stdout
    assert (out / "finding.txt").read_text().strip()
    shown = {p.name for p in (ROOT / "docs/studies").iterdir()}
    made = {p.name for p in [*out.glob("*.png"), *out.glob("*.gif")]}
    assert made
    assert made <= shown, "the studies' page shows what the script makes"
    assert all(len(path.read_text().splitlines()) > 1 for path in out.glob("*.csv"))
    assert list(out.glob("*.csv"))
    assert list((out / "tensorboard").glob("events*"))
    assert done.stderr == "", "no progress bar where there is no terminal"
    if name == "places":
        with (out / "regression_by_regularizer.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 7
        assert all(row["n"] == "2" for row in rows)
        with Image.open(out / "places.png") as picture:
            assert picture.width >= 800


def test_unknown_settings_are_one_clear_line(script) -> None:  # type: ignore[no-untyped-def]
    wrong = script("places", "strenght=3")
    assert wrong.status == 2
    assert len(wrong.stderr.splitlines()) == 1
    assert "strength" in wrong.stderr


WRONG = {
    "places runs=0": "runs must be a whole number of 1 or more, got 0",
    "places lr=-1": "lr must be above 0, got -1",
    "places lr=inf": "lr must be finite, got inf",
    "places strength=-0.5": "strength must be 0 or more",
    "line out": "settings are key=value",
    "line noise=-1": "noise must be 0 or more",
    "line outliers=51": "outliers must be at most 50, the number of samples; got 51",
    "line threads=0": "threads must be",
    "landscape hidden=[6,0]": "hidden must be a whole number of 1 or more, got 0",
    "landscape hidden=[6.5]": "hidden must be a whole number of 1 or more, got 6.5",
    "landscape rules.steps=0": "rules.steps must be",
    "landscape regression.correlation=1.0": "regression.correlation must be",
    "gradients activations=[sigmoid,rleu]": "activations must be of sigmoid, relu",
    "activations activations=[]": "activations must have one entry or more",
    "activations data.digits=0": "data.digits must be",
    "temperature temperatures=[]": "temperatures must have one entry or more",
    "temperature temperatures=[1,-1]": "temperatures must be 0 or more, got -1",
    "sweep photographs.train=0": "photographs.train must be",
    "sweep settings=[foo=1]": "settings: entries with = need quotes",
    "sweep settings=['foo=1']": "there is no setting foo",
    "sweep settings=[foo]": "settings and ways are of train.py, key=value; got 'foo'",
}


@pytest.mark.parametrize(("command", "line"), WRONG.items())
def test_wrong_settings_are_one_clear_line(command: str, line: str, script, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    name, *words = command.split()
    wrong = script(name, f"out={tmp_path}/out", *words)
    assert wrong.status == 2
    assert wrong.stderr.startswith("error: ")
    assert line in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_nothing_but_a_range_limits_a_setting() -> None:
    for words in ("slope=-1", "intercept=0", "noise=0", "strength=0", "outliers=0", "seed=0", "lr=2"):
        check_settings(compose_config([words], "study_line"))
    check_settings(compose_config(["regression.weights=[0,-1]"], "study_landscape"))
    check_settings(compose_config(["temperatures=[0]"], "study_temperature"))


def test_every_number_among_the_settings_has_a_range() -> None:
    def numbers(settings: Mapping[Any, Any]) -> Iterator[str]:
        for name, value in settings.items():
            if isinstance(value, Mapping):
                yield from numbers(value)
            entries = value if isinstance(value, list) else [value]
            if any(isinstance(e, int | float) and not isinstance(e, bool) for e in entries):
                yield name

    for study_name in STUDIES:
        settings: Any = OmegaConf.to_container(compose_config((), f"study_{study_name}"))
        assert set(numbers(settings)) <= set(RANGES)


def test_gradients_are_compared_with_the_sigmoids(script, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    wrong = script("gradients", f"out={tmp_path}", "activations=[relu]")
    assert wrong.status == 1
    assert len(wrong.stderr.splitlines()) == 1


def test_the_studies_page_shows_pictures_that_exist_and_commands_that_run() -> None:
    page = (ROOT / "docs/studies.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page)
    assert {Path(picture).name for picture in pictures} == {p.name for p in (ROOT / "docs/studies").iterdir()}
    commands = re.findall(r"python -m scripts\.study_(\w+)([^`#\n]*)", page)
    assert {name for name, _ in commands} == set(STUDIES)
    for name, words in commands:
        check_overrides(words.split(), f"study_{name}")


def test_missing_digits_are_one_clear_line(script, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    wrong = script("activations", f"out={tmp_path}/out", f"data.root={tmp_path}", "data.download=false")
    assert wrong.status == 1
    assert len(wrong.stderr.splitlines()) == 1
    assert "idx files" in wrong.stderr


def test_mnist_is_downloaded_where_it_is_missing(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    resources = []
    for file in sorted(digits.glob("*.gz")):
        shutil.copy(file, site)
        resources.append((file.name, hashlib.md5(file.read_bytes()).hexdigest()))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        mirror = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [mirror])
        monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
        train, test = mnist(tmp_path / "fresh")
        server.shutdown()
    assert (len(train.labels), len(test.labels)) == (400, 100)
    assert (
        bytes(train.images.flatten().tolist())
        == gzip.decompress((digits / "train-images-idx3-ubyte.gz").read_bytes())[16:]
    )
    with pytest.raises(ValueError, match="could not download MNIST"):
        mnist(tmp_path / "other")  # nobody serves any more
