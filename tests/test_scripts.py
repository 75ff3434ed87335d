import functools
import http.server
import runpy
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from PIL import Image

from colorize.plane import draw_bins

ROOT = Path(__file__).resolve().parent.parent


class Done(NamedTuple):
    """What a script left on the terminal."""

    returncode: int
    stdout: str
    stderr: str


Script = Callable[..., Done]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Script:
    """python -m scripts.NAME key=value ..., without the seconds that a new process takes to import."""

    def run(name: str, *words: str) -> Done:
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, "argv", [f"{ROOT}/scripts/{name}.py", *words])
        monkeypatch.delitem(sys.modules, f"scripts.{name}", raising=False)
        status: Any = 0
        try:
            runpy.run_module(f"scripts.{name}", run_name="__main__")
        except SystemExit as end:
            status = end.code or 0
        said = capsys.readouterr()
        if isinstance(status, str):  # which Python itself prints
            return Done(1, said.out, f"{said.err}{status}\n")
        return Done(status, *said)

    return run


def test_every_script_explains_itself_and_refuses_wrong_words(script: Script) -> None:
    for name in ("evaluate", "benchmark", "strips", "download"):
        shown = script(name, "--help")
        assert shown.returncode == 0
        assert f"python -m scripts.{name}" in shown.stdout
        wrong = script(name, "colour=red")
        assert wrong.returncode == 2
        assert len(wrong.stderr.splitlines()) == 1


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which it is served."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_download_lays_out_ot8(script: Script, site: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = site
    listed = (ROOT / "data/ot8-test.txt").read_text().split()
    assert len(set(listed)) == 806
    coast = next(line for line in listed if line.startswith("coast/"))
    city = next(line for line in listed if line.startswith("inside_city/"))
    with zipfile.ZipFile(folder / "scenes.zip", "w") as archive:
        archive.writestr("scenes/" + coast.replace("/", "_"), b"1")
        archive.writestr("scenes/insidecity_" + city.split("/")[1], b"2")
        archive.writestr("scenes/coast_never_listed.jpg", b"3")
        archive.writestr("scenes/Thumbs.db", b"4")
    words = ("set=ot8", f"url={address}/scenes.zip", f"out={tmp_path}/ot8")
    done = subprocess.run(
        [sys.executable, "-m", "scripts.download", *words],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1 photographs to train on, 2 to test" in done.stdout
    files = {p.relative_to(tmp_path / "ot8").as_posix(): p.read_bytes() for p in tmp_path.glob("ot8/*/*/*")}
    assert files == {f"test/{coast}": b"1", f"test/{city}": b"2", "train/coast/never_listed.jpg": b"3"}
    again = script("download", *words)
    assert again.returncode == 1
    assert "exists" in again.stderr

    (folder / "page.zip").write_text("<html>moved</html>")
    for name in ("page.zip", "nowhere.zip"):
        failed = script("download", "set=ot8", f"url={address}/{name}", f"out={tmp_path}/other")
        assert failed.returncode == 1
        assert failed.stderr.splitlines()[-1].startswith("error: ")
        assert "Traceback" not in failed.stderr
        assert {p.name for p in tmp_path.iterdir()} == {"site", "ot8"}, "something was left behind"


def test_evaluate_prints_the_released_weights_beside_the_baselines(script: Script, tmp_path: Path) -> None:
    words = ["data=data/sample/val", "temperature=[0.38,1]", "saturation=[1,1.5]", f"out={tmp_path}"]
    done = script("evaluate", *words)
    assert done.returncode == 0, done.stderr
    for name in (
        "unet",
        "gray",
        "mean colour",
        "original",
        "13 photographs",
        "T=0.38 S=1",
        "T=1 S=1.5",
    ):
        assert name in done.stdout


def test_strips_show_grey_weights_and_original(script: Script, tmp_path: Path) -> None:
    done = script(
        "strips",
        "weights=[conv8,conv8]",
        "data=data/sample/val",
        f"out={tmp_path}/strips",
        f"sheet={tmp_path}/sheet.png",
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout
    strips = sorted((tmp_path / "strips").iterdir())
    photos = sorted((ROOT / "data/sample/val").iterdir())
    assert [s.stem for s in strips] == [p.stem for p in photos]
    with (
        Image.open(strips[0]) as strip,
        Image.open(photos[0]) as photo,
        Image.open(tmp_path / "sheet.png") as sheet,
    ):
        assert strip.width == 3 * photo.width + 8, "the same weights twice are one column"
        assert sheet.height > 13 * 256


def test_the_ab_plane_shows_each_bin_in_its_colour() -> None:
    centers = torch.tensor([[60.0, 50.0], [-50.0, 40.0], [0.0, -60.0]])
    picture = draw_bins(centers, torch.tensor([1.0, 0.25, 0.0]), step=10, side=201)
    limit = 70.0

    def at(a: float, b: float) -> torch.Tensor:
        return picture[:, int((limit - b) / (2 * limit) * 201), int((a + limit) / (2 * limit) * 201)]

    assert at(60, 50).argmax() == 0, "red to the upper right"
    assert at(-50, 40).argmax() == 1, "green to the upper left"
    assert (at(0.5, -61) - 0.93).abs().max() < 0.2, "no share, no disc"
    assert (at(57, 50) - at(60, 50)).abs().max() < 1e-5, "the largest fills its cell"
    assert (at(-53, 40) - at(-50, 40)).abs().max() > 0.1, "a quarter of it has half the radius"
