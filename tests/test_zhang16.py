"""The paper's network against a computation of its own, from a state dict of the published shapes."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from colorize import Colorizer
from colorize.module import upsample
from colorize.networks.zhang16 import from_released
from scripts import convert

# Stage -> (out, in) of its 3x3 convolutions; a ReLU follows each, and a batch norm the last.
STAGES = {
    1: [(64, 1), (64, 64)],
    2: [(128, 64), (128, 128)],
    3: [(256, 128), (256, 256), (256, 256)],
    4: [(512, 256), (512, 512), (512, 512)],
    5: [(512, 512)] * 3,
    6: [(512, 512)] * 3,
    7: [(512, 512)] * 3,
}


@pytest.fixture(scope="module")
def released() -> dict[str, Tensor]:
    """Random numbers under the names and shapes of the published file, of an old version of torch."""
    torch.manual_seed(0)
    state: dict[str, Tensor] = {}

    def convolution(name: str, *shape: int) -> None:
        fan_in = shape[1] * shape[2] * shape[3]
        state[f"{name}.weight"] = torch.randn(shape) * (2 / fan_in) ** 0.5
        state[f"{name}.bias"] = torch.randn(shape[0]) * 0.1

    for stage, layers in STAGES.items():
        for k, (out, into) in enumerate(layers):
            convolution(f"model{stage}.{2 * k}", out, into, 3, 3)
        norm, width = f"model{stage}.{2 * len(layers)}", layers[-1][0]
        state |= {f"{norm}.weight": torch.rand(width) + 0.5, f"{norm}.bias": torch.randn(width) * 0.1}
        state |= {f"{norm}.running_mean": torch.rand(width), f"{norm}.running_var": torch.rand(width) + 0.5}
    state["model8.0.weight"] = torch.randn(512, 256, 4, 4) * (2 / (4 * 512)) ** 0.5
    state["model8.0.bias"] = torch.randn(256) * 0.1
    convolution("model8.2", 256, 256, 3, 3)
    convolution("model8.4", 256, 256, 3, 3)
    convolution("model8.6", 313, 256, 1, 1)
    state["model_out.weight"] = torch.rand(2, 313, 1, 1) * 2 - 1
    return state


def reference(state: dict[str, Tensor], lightness: Tensor) -> Tensor:
    """ab as the published description has it, at the size of the picture."""
    x = (lightness - 50) / 100
    for stage, layers in STAGES.items():
        dilation = 2 if stage in (5, 6) else 1
        for k in range(len(layers)):
            stride = 2 if stage <= 3 and k == len(layers) - 1 else 1
            name = f"model{stage}.{2 * k}"
            x = F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride, dilation, dilation).relu()
        norm = f"model{stage}.{2 * len(layers)}"
        mean, var = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        x = F.batch_norm(x, mean, var, state[f"{norm}.weight"], state[f"{norm}.bias"])
    x = F.conv_transpose2d(x, state["model8.0.weight"], state["model8.0.bias"], 2, 1).relu()
    for k in (2, 4):
        x = F.conv2d(x, state[f"model8.{k}.weight"], state[f"model8.{k}.bias"], padding=1).relu()
    x = F.conv2d(x, state["model8.6.weight"], state["model8.6.bias"]).softmax(dim=1)
    ab = F.conv2d(x, state["model_out.weight"])
    return 110 * F.interpolate(ab, scale_factor=4, mode="bilinear")


def test_released_weights_give_what_the_authors_network_gives(
    released: dict[str, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.save(released, tmp_path / "eccv16.pth")
    out = tmp_path / "eccv16.safetensors"
    monkeypatch.setattr("sys.argv", ["convert", f"weights={tmp_path / 'eccv16.pth'}", f"out={out}"])
    convert.main()
    assert "313 bins" in capsys.readouterr().out
    colorizer = Colorizer.load(out, device="cpu")
    assert (colorizer.temperature, colorizer.image_size, colorizer.saturation) == (1.0, 256, 1.0)
    lightness = torch.rand(1, 1, 24, 16) * 100
    with torch.inference_mode():
        expected = reference(released, lightness)
    assert expected.std() > 1  # two flat pictures would be equal whatever the network
    ours = upsample(colorizer.predict_ab(lightness), lightness)
    torch.testing.assert_close(ours, expected, atol=1e-3, rtol=1e-4)


def test_what_is_no_released_state_is_refused(released: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match=r"with model_out.weight \(2, q, 1, 1\), got none"):
        from_released({key: value for key, value in released.items() if key != "model_out.weight"})
    with pytest.raises(ValueError, match=r"bin centres within \+-128"):
        from_released(released | {"model_out.weight": released["model_out.weight"] * 110})
