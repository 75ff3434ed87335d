"""The page of demo/ in a real browser, beside the same pictures from Python."""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorize.colorizer import Colorizer
from colorize.frozen.page import export_page, server
from colorize.frozen.precision import with_precision
from tests.browser import CHROMIUM, Tab, browser
from tests.frozen import network_colorizer, unheard
from tests.pictures import ROOT, photo

NPM = shutil.which("npm")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return with_precision(network_colorizer("unet"), "float16")  # as the page stores its weights


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory, colorizer: Colorizer) -> Iterator[Tab]:
    """A browser that shows the page; downloads go to the folder `tab.downloads`."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    folder = tmp_path_factory.mktemp("page")
    for path in (ROOT / "demo").iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    (folder / "node_modules").symlink_to(_libraries())
    with unheard():
        export_page(network_colorizer("unet"), folder / "build")
    with server(folder) as site:
        threading.Thread(target=site.serve_forever).start()
        with browser(folder / "profile") as tab:
            tab.downloads = folder / "downloads"
            tab("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tab.downloads))
            tab("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
            tab("Page.navigate", url=f"http://127.0.0.1:{site.server_port}/")
            tab.wait("document.getElementById('status')?.textContent === 'Ready.'")
            yield tab
        site.shutdown()


def _libraries() -> Path:
    """demo/node_modules, fetched if need be as `make demo-page` fetches it."""
    folder = ROOT / "demo/node_modules"
    if not (folder / "onnxruntime-web").is_dir():
        if NPM is None:
            pytest.skip("no npm here, which fetches onnxruntime-web")
        fetched = subprocess.run(
            ["make", "demo/node_modules"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )
        if fetched.returncode:
            pytest.skip(f"npm could not fetch onnxruntime-web: {fetched.stderr[-200:]}")
    return folder


def _set(tab: Tab, slider: str, value: float) -> None:
    tab.run(
        f"(() => {{ const s = document.getElementById('{slider}'); s.value = {value};"
        " s.dispatchEvent(new Event('input')); })()"
    )


def _saved(tab: Tab, name: str) -> np.ndarray:
    """What the download button gives."""
    tab.run("document.getElementById('save').click()")
    tab.wait("document.getElementById('status').textContent.startsWith('Saved')")
    path = tab.downloads / name
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, "no download"
        time.sleep(0.05)
    pixels = np.asarray(Image.open(path))
    path.unlink()
    return pixels


def test_the_page_gives_pythons_pictures(tab: Tab, colorizer: Colorizer, tmp_path: Path) -> None:
    rgb = photo(1021, 767)  # more than a strip, and more than is shown
    Image.fromarray(rgb).save(tmp_path / "old photo.png")
    tab.choose("#file", tmp_path / "old photo.png")
    tab.wait("document.body.dataset.painted")
    for temperature, saturation, vividness in ((0.38, 1.0, 0.8), (1.0, 0.5, 0.0), (0.0, 2.0, 1.5)):
        _set(tab, "temperature", temperature)
        _set(tab, "saturation", saturation)
        _set(tab, "vividness", vividness)
        tab.wait(f"document.body.dataset.painted.endsWith(' {temperature:g} {saturation:g} {vividness:g}')")
        colorizer.vividness = vividness
        page = _saved(tab, "old photo-color.png").astype(int)
        near = np.abs(page[..., :3] - colorizer(rgb, temperature, saturation)) <= 1
        # At temperature 0, where two bins are as likely, rounding decides.
        assert near.mean() > 0.999 if temperature == 0 else near.all()
    # What is shown is the same picture, smaller.
    shown = np.array(
        tab.run(
            "Array.from(document.getElementById('after').getContext('2d').getImageData(90, 60, 1, 1).data)"
        )
    )
    h, w = (tab.run(f"document.getElementById('after').{side}") for side in ("height", "width"))
    assert h * w < 1.01 * 2**19  # but for the rounding of the sides
    y, x = round(60.5 / h * 1021), round(90.5 / w * 767)
    around = colorizer(rgb, 0.0, 2.0)[y - 2 : y + 2, x - 2 : x + 2].reshape(-1, 3).astype(int)
    assert (shown[:3] >= around.min(axis=0) - 6).all()
    assert (shown[:3] <= around.max(axis=0) + 6).all()


def test_what_is_no_picture_is_said(tab: Tab, tmp_path: Path) -> None:
    (tmp_path / "letter.jpg").write_text("Dear grandfather")
    tab.choose("#file", tmp_path / "letter.jpg")
    said = "letter.jpg is no picture that this browser can read."
    tab.wait(f"document.getElementById('error').textContent === '{said}'")


def test_nothing_leaves_and_everyone_can_use_it(tab: Tab) -> None:
    asked = tab.run("performance.getEntriesByType('resource').map((entry) => new URL(entry.name).origin)")
    assert set(asked) == {tab.run("location.origin")}
    blocked = tab.run("fetch('http://127.0.0.1:9/').then(() => 'sent', (error) => error.name)")
    assert blocked == "TypeError"
    assert tab.run("document.documentElement.scrollWidth") <= 360
    nodes = tab("Accessibility.getFullAXTree")["nodes"]
    named = {n["role"]["value"]: [] for n in nodes if "role" in n}
    for node in nodes:
        if "role" in node and node.get("name"):
            named[node["role"]["value"]].append(node["name"]["value"])
    assert named["slider"] == ["Share as it was", "Temperature", "Saturation", "Vividness"]
    assert "Download at full size" in named["button"]
    assert any("Choose a photograph" in name for name in named["button"])
    assert "status" in named
    # By the keyboard alone: an arrow moves the slider that has the focus.
    tab.run("document.getElementById('saturation').focus()")
    start = float(tab.run("document.getElementById('saturation').value"))
    for kind in ("keyDown", "keyUp"):
        tab("Input.dispatchKeyEvent", type=kind, key="ArrowLeft", code="ArrowLeft", windowsVirtualKeyCode=37)
    assert float(tab.run("document.getElementById('saturation').value")) == pytest.approx(start - 0.01)
