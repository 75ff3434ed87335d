"""Frozen files beside the colorizer that they were made from."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from colorize import __version__, cli, images
from colorize.frozen import export
from colorize.frozen.graph import Whole
from colorize.frozen.precision import quality, with_precision
from colorize.frozen.resizing import resize
from colorize.frozen.sealing import read_sealed, seal
from colorize.released import find_weights
from scripts import export as export_script
from scripts.arguments import run
from tests.frozen import (
    FORMS,
    NETWORKS,
    PRECISIONS,
    frozen_colorizer,
    frozen_file,
    network_colorizer,
    smaller_colorizer,
)
from tests.pictures import ROOT, photo, photo16

pytestmark = pytest.mark.usefixtures("frozen_folder")


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(np.int32) - b)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("network", NETWORKS)
def test_frozen_files_give_the_colorizers_pictures(network: str, form: str) -> None:
    colorizer = smaller_colorizer(network)
    frozen = frozen_colorizer(network, form)
    assert frozen.about["precision"] == PRECISIONS[network]
    # The working sizes of 80 x 101 and 64 x 100 are ties of rounding; 5 x 900 is squeezed, of
    # 727 x 501 means of 2 x 2 are taken first.
    for h, w in ((61, 47), (80, 101), (64, 100), (5, 900), (1, 1), (207, 333), (727, 501)):
        rgb = photo(h, w)
        for way in (frozen, frozen.in_graph):
            assert _difference(way(rgb), colorizer(rgb)).max() <= 1
            assert _difference(way(rgb, 1.0, 0.3), colorizer(rgb, 1.0, 0.3)).max() <= 1
            hard = _difference(way(rgb, 0.0), colorizer(rgb, 0.0)) <= 1
            assert hard.mean() > 0.999  # where two bins are as likely, rounding decides
    assert np.ptp(frozen(photo(61, 47)), axis=2).mean() > 10  # there is colour
    fine = photo16(50, 70)
    assert _difference(frozen(fine), colorizer(fine)).max() <= 150  # of 65,535: half an 8-bit level
    batch = np.stack([photo(44, 52), 255 - photo(44, 52), photo(44, 52)[::-1]]).transpose(0, 3, 1, 2)
    together = frozen.engine.run(batch.astype(np.float32) / 255, (0.5, 1.0, 0.0), "colored")
    for one, colored in zip(batch, together, strict=True):
        np.testing.assert_allclose(
            frozen.engine.run(one[None].astype(np.float32) / 255, (0.5, 1.0, 0.0), "colored")[0],
            colored,
            atol=2e-3,
        )


def test_the_graph_resizes_as_is_done_outside() -> None:
    # Factors of the box means from 1 to 9, with and without parts of squares at the borders.
    for h, w in ((61, 47), (5, 900), (240, 251), (363, 500), (640, 481), (1081, 1003), (1, 1)):
        rgb = photo(h, w)
        levels, sides = resize(torch.from_numpy(rgb / np.float32(255)).permute(2, 0, 1)[None], 40)
        expected = images.resize(rgb, 40)
        np.testing.assert_array_equal(levels[0].permute(1, 2, 0), expected)
        assert sides.tolist() == list(expected.shape[:2])


def test_all_settings_travel_inside() -> None:
    colorizer = network_colorizer("conv8")
    for form in FORMS:
        frozen = frozen_colorizer("conv8", form)
        about = frozen.about
        assert {
            key: about[key] for key in ("network", "image_size", "temperature", "saturation", "training")
        } == {
            key: colorizer.about[key]
            for key in ("network", "image_size", "temperature", "saturation", "training")
        }
        np.testing.assert_array_equal(about["bins"]["centers"], colorizer.bins.centers)
        np.testing.assert_allclose(about["prior"], colorizer.prior)
        assert (about["licence"], about["colorize"], about["form"]) == ("CC0", __version__, form)
        image = Image.fromarray(np.dstack((photo(), photo()[:, :, 0])))
        assert frozen(image).mode == "RGBA"
        assert _difference(np.asarray(frozen(image)), np.asarray(colorizer(image))).max() <= 1


def test_onnx_is_what_its_standard_says_and_names_no_file_of_this_machine() -> None:
    path = frozen_file("conv8", "onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [opset.version for opset in model.opset_import if not opset.domain] == [export.OPSET]
    assert [entry.name for entry in model.graph.input] == ["rgb", "temperature", "saturation", "vividness"]
    for form in FORMS:
        assert str(ROOT).encode() not in frozen_file("conv8", form).read_bytes()


def test_a_file_that_differs_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = copy.deepcopy(network_colorizer("conv8"))
    other.bins.centers.mul_(0.9)
    theirs = frozen_file("conv8", "onnx")
    monkeypatch.setattr(export, "export_whole", lambda *_: None)
    monkeypatch.setitem(export._WRITERS, "onnx", lambda *to: to[-1].write_bytes(theirs.read_bytes()))
    (tmp_path / "kept.onnx").write_bytes(b"as it was")
    with pytest.raises(ValueError, match=r"kept.onnx: not written; .* differ by up to \d+ 8-bit levels"):
        export.freeze(other, tmp_path / "kept.onnx", "onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.onnx"]
    assert (tmp_path / "kept.onnx").read_bytes() == b"as it was"


def test_the_command_colours_without_torch(tmp_path: Path) -> None:
    Image.fromarray(photo(90, 120)).save(tmp_path / "old.png")
    code = "import sys; from colorize.cli import main; code = main(sys.argv[1:]); assert code == 0;"
    code += "heavy = {'torch', 'lightning', 'onnx', 'matplotlib'} & set(sys.modules); assert not heavy, heavy"
    weights = os.fspath(frozen_file("conv8", "onnx"))
    settings = ("--temperature=0.6", "--saturation=1.1", "--vividness=0.2")
    flags = ("--strip", "--force", "--jobs=1", "--device=cpu", *settings)
    subprocess.run(
        [sys.executable, "-c", code, "--weights", weights, *flags, str(tmp_path / "old.png")],
        cwd=ROOT, check=True, timeout=120,
    )  # fmt: skip
    grey, colored = np.split(np.asarray(Image.open(tmp_path / "old-color.png")), 2, axis=1)
    colorizer = copy.deepcopy(network_colorizer("conv8"))
    colorizer.vividness = 0.2
    assert _difference(colored, colorizer(photo(90, 120), 0.6, 1.1)).max() <= 1
    assert np.ptp(grey, axis=2).max() == 0


def test_files_that_are_none_cost_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(photo()).save(tmp_path / "old.png")
    wrong: dict[str, bytes] = {}
    for form in FORMS:
        whole = frozen_file("conv8", form).read_bytes()
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 1
        suffix = frozen_file("conv8", form).suffix
        kinds = {
            "cut": whole[:-1],
            "half": whole[: len(whole) // 2],
            "flipped": bytes(flipped),
            "empty": b"",
            "text": b"A",
        }
        wrong |= {f"{kind}{suffix}": data for kind, data in kinds.items()}
    foreign = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    wrong["foreign.onnx"] = foreign.SerializeToString()
    wrong["sealed.onnx"] = seal(foreign.SerializeToString())
    wrong["sealed-text.onnx"] = seal(b"A")
    for name, data in wrong.items():
        (tmp_path / name).write_bytes(data)
        assert cli.main(["--weights", str(tmp_path / name), str(tmp_path / "old.png")]) == 2, name
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{name}: damaged, cut off or not written by Colorize" in line
    (tmp_path / "folder.onnx").mkdir()
    for name, message in (
        ("none.onnx", "no such file"),
        ("none.pt2", "no such file"),
        ("folder.onnx", "is a folder"),
    ):
        assert cli.main(["--weights", str(tmp_path / name), str(tmp_path / "old.png")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{name}: {message}" in line
    whole = str(frozen_file("conv8", "onnx"))
    assert cli.main(["--weights", whole, "--device", "cuda", str(tmp_path / "old.png")]) == 2
    assert "runs on the processor" in capsys.readouterr().err
    no_prior = str(frozen_file("zhang16", "onnx"))
    assert cli.main(["--weights", no_prior, "--vividness", "1", str(tmp_path / "old.png")]) == 2
    assert "hold no prior, which vividness needs" in capsys.readouterr().err
    assert read_sealed(whole)


def test_wrong_forms_and_settings_are_named(tmp_path: Path) -> None:
    colorizer = network_colorizer("conv8")
    with pytest.raises(ValueError, match="format must be one of onnx, pt2, got 'tflite'"):
        export.freeze(colorizer, tmp_path / "x", "tflite")
    with pytest.raises(ValueError, match=r"executorch is not offered, .* format=onnx runs on phones too"):
        export.freeze(colorizer, tmp_path / "x.pte", "executorch")
    with pytest.raises(ValueError, match="precision must be one of float32, float16, int8, got 'int4'"):
        export.freeze(colorizer, tmp_path / "x.onnx", "onnx", "int4")
    frozen = frozen_colorizer("conv8", "onnx")
    for setting in ({"temperature": -1.0}, {"saturation": float("nan")}):
        with pytest.raises(ValueError, match=f"{next(iter(setting))} must be 0 or more and finite"):
            frozen(photo(), **setting)
    with pytest.raises(ValueError, match="got int64"):
        frozen(photo().astype(np.int64))


def test_the_script_takes_weights_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cut.safetensors").write_bytes(find_weights("conv8").read_bytes()[:5000])
    wrong = (
        ("weights=x.onnx", "x.onnx is frozen already; expected a name or a .safetensors file"),
        (f"weights={tmp_path / 'cut.safetensors'}", "cut.safetensors: damaged, or not a safetensors file"),
        ("format=executorch", "executorch is not offered"),
    )
    for word, message in wrong:
        monkeypatch.setattr("sys.argv", ["export", f"out={tmp_path / 'y.onnx'}", word])
        with pytest.raises(SystemExit) as ended:
            run(export_script.main)
        assert ended.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert not (tmp_path / "y.onnx").exists()


def test_rounding_of_smaller_weights() -> None:
    colorizer = network_colorizer("conv8")
    for precision, bits in (("float16", 11), ("int8", 7)):
        smaller = with_precision(colorizer, precision)
        for exact, rounded in zip(colorizer.network.modules(), smaller.network.modules(), strict=False):
            if isinstance(exact, torch.nn.Conv2d):
                largest = exact.weight.abs().flatten(1).amax(dim=1)
                error = (exact.weight - rounded.weight).abs().flatten(1).amax(dim=1)
                assert (error <= 1.01 * largest * 2.0**-bits / (1 if bits == 11 else 2 * 127 / 128)).all()
                break
        loss = quality(colorizer, smaller, [photo(60, 80)])
        assert 0 < loss["mean"] < loss["largest"]
        assert loss["psnr"] > (45 if precision == "float16" else 20)
    assert quality(colorizer, with_precision(colorizer, "float32"), [photo()])["largest"] == 0


def test_fitting_all_pixels_is_fitting_those_outside() -> None:
    colorizer = network_colorizer("conv8")
    rgb = torch.from_numpy(photo(50, 60) / 255).float().permute(2, 0, 1)[None]
    scalars = (torch.tensor(0.2), torch.tensor(3.0), torch.tensor(0.7))
    with torch.inference_mode():
        some, every = (Whole(colorizer, gather).eval()(rgb, *scalars) for gather in (True, False))
    torch.testing.assert_close(some, every)
