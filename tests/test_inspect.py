"""What is inside files, beside what is known of the network."""

import functools
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from colorize.frozen.layers import Contents, inspect_file
from scripts import inspect
from scripts.arguments import run
from tests.frozen import FORMS, frozen_file, network_colorizer

pytestmark = pytest.mark.usefixtures("frozen_folder")


@functools.cache
def contents_of(file: str) -> Contents:
    """`inspect_file`, which takes seconds to load a pt2 file."""
    return inspect_file(file)


def test_layers_of_weights_and_of_both_frozen_kinds_agree(tmp_path: Path) -> None:
    colorizer = network_colorizer("conv8")
    colorizer.save(tmp_path / "weights.safetensors")
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        colorizer.network.predict(torch.zeros(1, 1, 40, 40))
    files = [tmp_path / "weights.safetensors", *(frozen_file("conv8", form) for form in FORMS)]
    for file in files:
        contents = contents_of(str(file))
        convolutions = [layer for layer in contents.layers if "conv" in layer.kind.lower()]
        assert len(convolutions) == 8
        assert sum(layer.flops for layer in convolutions) == counter.get_total_flops()
        assert convolutions[0].output == (3, 54, 54)
        assert convolutions[-1].output[1:] == (40, 40)
        assert convolutions[-1].weight[0] == len(colorizer.bins)
        assert contents.about["temperature"] == 0.5
    exact = sum(p.numel() for p in colorizer.network.parameters())
    assert sum(layer.parameters for layer in contents_of(str(files[0])).layers) == exact


@pytest.mark.parametrize("which", ["conv8", "onnx", "pt2"])
def test_the_script_prints_80_columns(
    which: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "conv8" if which == "conv8" else str(frozen_file("conv8", which))
    monkeypatch.setattr(inspect, "inspect_file", contents_of)
    monkeypatch.setattr("sys.argv", ["inspect", name])
    run(inspect.main)
    printed = capsys.readouterr().out
    assert all(len(line) <= 80 for line in printed.splitlines()[1:])
    for word in ("parameters", "MFLOP", "temperature", "working size", "licence", "prior", "bins"):
        assert word in printed, word


def test_the_script_refuses_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cut.onnx").write_bytes(frozen_file("conv8", "onnx").read_bytes()[:5000])
    for words in (["README.md"], [str(tmp_path / "cut.onnx")], ["nothing"], [], ["weights=conv8"]):
        monkeypatch.setattr("sys.argv", ["inspect", *words])
        with pytest.raises(SystemExit) as ended:
            run(inspect.main)
        assert ended.value.code == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
