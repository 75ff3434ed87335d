"""scripts.evaluate from its words to the table, results.json and report.html."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.metrics
from PIL import Image

from colorize.evaluation import BASELINES
from colorize.measurements import METRICS
from colorize.prior_file import CountedPrior
from scripts import arguments, evaluate
from tests.pictures import photo, tiny_colorizer

SIZES = {"a.png": (48, 64), "sub/b.png": (64, 48), "c.png": (50, 50)}
Results = dict[str, Any]


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """Three pictures that are not of one size."""
    for seed, (name, size) in enumerate(SIZES.items()):
        path = tmp_path / "reference" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(photo(*size), seed, axis=2)).save(path)
    return tmp_path / "reference"


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Results]:
    """Run the script in this process with small weights; its results.json."""
    tiny_colorizer().save(tmp_path / "tiny.safetensors")

    def run(*words: str) -> Results:
        common = [
            f"weights={tmp_path}/tiny.safetensors",
            "lpips=none",
            "resamples=100",
            f"out={tmp_path}/out",
        ]
        monkeypatch.setattr(sys, "argv", ["evaluate", *common, *words])
        arguments.run(evaluate.main)
        found: Results = json.loads((tmp_path / "out" / "results.json").read_text())
        return found

    return run


def halved(path: Path) -> np.ndarray:
    """Something that another tool could have made of a picture."""
    rgb = np.asarray(Image.open(path)).astype(float)
    return np.round((rgb + rgb.mean(axis=2, keepdims=True)) / 2).astype(np.uint8)


def test_outputs_of_any_tool(
    call: Callable[..., Results], reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """NAME-color and NAME, by any suffix and in any folder, beside an independent PSNR of whole pictures."""
    outputs = tmp_path / "made"
    outputs.mkdir()
    expected = []
    for name, made in zip(SIZES, ("a-color.png", "b.tif", "c-color.bmp"), strict=True):
        Image.fromarray(halved(reference / name)).save(outputs / made)
        original = np.asarray(Image.open(reference / name))
        expected.append(skimage.metrics.peak_signal_noise_ratio(original, halved(reference / name)))
    found = call(f"outputs={outputs}", f"reference={reference}")
    assert list(found["ways"]) == ["outputs", *BASELINES]
    assert found["photographs"] == 3
    assert found["weights"] is None
    assert set(found["ways"]["outputs"]) == set(METRICS) - {"lpips"}
    assert found["ways"]["outputs"]["psnr"]["value"] == pytest.approx(np.mean(expected), rel=1e-5)
    assert found["ways"]["original"]["psnr"]["value"] is None
    for row in found["ways"].values():
        for figure in row.values():
            assert figure["value"] is None or figure["low"] <= figure["value"] <= figure["high"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert sorted(re.findall(r'data-name="(.*?)"', page)) == sorted(SIZES)
    assert page.count("<img") == 3 * 3, "grey, output and original"
    assert not re.search(r"<!--[A-Z]+-->|https?://", page)
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("outputs", *BASELINES, "results.json", "report.html"))


def test_outputs_of_another_size(
    call: Callable[..., Results], reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = tmp_path / "made"
    outputs.mkdir()
    for name in SIZES:
        Image.fromarray(halved(reference / name)).resize((40, 40)).save(outputs / Path(name).name)
    words = [f"outputs={outputs}", f"reference={reference}"]
    for refused in ("whole", "working"):
        with pytest.raises(SystemExit):
            call(*words, f"protocol={refused}")
        assert "which this protocol does not compare; protocol=resize" in capsys.readouterr().err
    assert 10 < call(*words, "protocol=resize")["ways"]["outputs"]["psnr"]["value"] < 40
    (outputs / "b.png").unlink()
    with pytest.raises(SystemExit):
        call(*words, "protocol=resize")
    assert "there is no b-color or b in" in capsys.readouterr().err


def test_weights_by_each_protocol(call: Callable[..., Results], reference: Path) -> None:
    for protocol in ("working", "zhang16", "val5k", "resize", "whole"):
        found = call(f"data.root={reference}", f"protocol={protocol}", "temperature=[0.38,1]", "sheet=1")
        first, second, *rest = found["ways"]
        assert (first, second, rest) == ("T=0.38", "T=1", list(BASELINES))
        assert found["ways"][first]["auc"] != found["ways"][second]["auc"]
        assert found["ways"]["original"]["auc"]["value"] == 100


def test_the_prior_may_be_of_other_weights(
    call: Callable[..., Results], reference: Path, tmp_path: Path
) -> None:
    other = tiny_colorizer()
    assert other.prior is not None
    other.prior = other.prior.clone()
    other.prior[: len(other.prior) // 2] /= 10
    other.save(tmp_path / "other.safetensors")
    prior = f"prior={tmp_path}/other.safetensors"
    own, by_other, flat = (call(f"data={reference}", *words) for words in ((), (prior,), (prior, "floor=1")))
    assert by_other["prior"] == f"{tmp_path}/other.safetensors"
    assert any("other.safetensors" in note for note in by_other["notes"])
    way = next(iter(own["ways"]))
    assert own["ways"][way]["auc"] == by_other["ways"][way]["auc"]
    assert own["ways"][way]["auc_rebalanced"] != by_other["ways"][way]["auc_rebalanced"]
    assert own["ways"][way]["auc_rebalanced"] == pytest.approx(flat["ways"][way]["auc_rebalanced"])
    assert "1 / max(p, 1)" in flat["notes"][1]


def test_size_of_the_squares(call: Callable[..., Results], reference: Path) -> None:
    own, stated, smaller = (
        call(f"data={reference}", "sheet=0", *more) for more in ((), ("size=64",), ("size=48",))
    )
    assert own["ways"] == stated["ways"]
    assert (own["size"], smaller["size"]) == (64, 48)
    assert "(48 pixels)" in smaller["notes"][0]
    assert own["ways"]["gray"]["psnr"] != smaller["ways"]["gray"]["psnr"]


def test_the_prior_may_be_a_file_of_its_own(
    call: Callable[..., Results], reference: Path, tmp_path: Path
) -> None:
    tiny = tiny_colorizer()
    assert tiny.prior is not None
    CountedPrior(tiny.bins.centers, tiny.prior, {}, {}).write(tmp_path / "prior.safetensors")
    own, counted = (
        call(f"data={reference}", *words) for words in ((), (f"prior={tmp_path}/prior.safetensors",))
    )
    assert counted["prior"] == f"{tmp_path}/prior.safetensors"
    assert own["ways"] == counted["ways"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "give either data.root=, to evaluate weights, or both outputs= and reference="),
        ("data=x outputs=y", "give either data.root="),
        ("outputs=y", "give either data.root="),
        ("outputs=y reference=x vividness=1", "are of weights, not of outputs"),
        ("data=x protocol=paper", "there is no protocol paper; choose working, zhang16"),
        ("data=x resamples=3", "resamples takes a whole number of 100 or more, got 3"),
        ("data=x size=32 protocol=resize", "size is of the protocol working; resize has its own"),
        ("data=x size=0", "size takes a whole number of 1 or more, got 0"),
        ("data=x floor=0", "floor takes a share above 0 and up to 1, such as 1e-4, got 0"),
        ("data=x lpips=nowhere.pth", "lpips: there is no file nowhere.pth"),
    ],
)
def test_wrong_settings_are_one_line(
    words: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate", *words.split()])
    with pytest.raises(SystemExit) as stopped:
        arguments.run(evaluate.main)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
