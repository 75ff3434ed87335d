"""What is inside files, beside what is known of the network."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from colorize.frozen.layers import inspect_file
from tests.frozen import FORMS, frozen_file, network_colorizer
from tests.pictures import ROOT


def test_layers_of_weights_and_of_both_frozen_kinds_agree(tmp_path: Path) -> None:
    colorizer = network_colorizer("conv8")
    colorizer.save(tmp_path / "weights.safetensors")
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        colorizer.network.predict(torch.zeros(1, 1, 40, 40))
    files = [tmp_path / "weights.safetensors", *(frozen_file("conv8", form) for form in FORMS)]
    for file in files:
        contents = inspect_file(file)
        convolutions = [layer for layer in contents.layers if "conv" in layer.kind.lower()]
        assert len(convolutions) == 8
        assert sum(layer.flops for layer in convolutions) == counter.get_total_flops()
        assert convolutions[0].output == (3, 54, 54)
        assert convolutions[-1].output[1:] == (40, 40)
        assert convolutions[-1].weight[0] == len(colorizer.bins)
        assert contents.about["temperature"] == 0.5
    exact = sum(p.numel() for p in colorizer.network.parameters())
    assert sum(layer.parameters for layer in inspect_file(files[0]).layers) == exact


@pytest.mark.parametrize("which", ["conv8", "onnx", "pt2"])
def test_the_script_prints_80_columns(which: str) -> None:
    name = "conv8" if which == "conv8" else str(frozen_file("conv8", which))
    result = subprocess.run(
        [sys.executable, "-m", "scripts.inspect", name], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = result.stdout.splitlines()
    assert all(len(line) <= 80 for line in lines[1:])
    for word in ("parameters", "MFLOP", "temperature", "working size", "licence", "prior", "bins"):
        assert word in result.stdout, word


def test_the_script_refuses_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes(frozen_file("conv8", "onnx").read_bytes()[:5000])
    for words in (["README.md"], [str(tmp_path / "cut.onnx")], ["nothing"], [], ["weights=conv8"]):
        result = subprocess.run(
            [sys.executable, "-m", "scripts.inspect", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1
