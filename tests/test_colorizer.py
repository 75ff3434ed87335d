import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from colorize.bins import Bins
from colorize.color import rgb_to_lab, rgb_to_lightness
from colorize.colorizer import Colorizer
from colorize.networks import Network
from tests.pictures import photo, photo16, plain, tiny_colorizer


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return tiny_colorizer()


def _lightness(rgb: np.ndarray) -> np.ndarray:
    values = torch.from_numpy(rgb / np.iinfo(rgb.dtype).max).permute(2, 0, 1)
    return rgb_to_lightness(values)[0].numpy()


def _grey_level(rgb: np.ndarray) -> np.ndarray:
    """The level of the grey that is as light as each pixel."""
    top = np.iinfo(rgb.dtype).max
    levels = np.arange(top + 1, dtype=rgb.dtype)
    curve = _lightness(np.broadcast_to(levels[:, None, None], (top + 1, 1, 3)))[:, 0]
    return np.interp(_lightness(rgb), curve, levels)


def test_lightness_of_every_sample_photograph_is_kept(sample: Path, colorizer: Colorizer) -> None:
    photographs = sorted((sample / "test").glob("*.jpg"))
    assert len(photographs) >= 10
    for path in photographs:
        grey = Image.open(path).convert("L")
        result = np.asarray(colorizer(grey))
        error = np.abs(_grey_level(result) - np.asarray(grey))
        assert (error <= 1).mean() >= 0.999, path.name
        assert np.ptp(result, axis=2).mean() > 5, path.name  # and there is colour


def test_16_bit_lightness_is_kept_at_16_bits(colorizer: Colorizer) -> None:
    grey = photo16(200, 300)[:, :, 0]
    result = colorizer(grey)
    assert result.dtype == np.uint16
    error = np.abs(_grey_level(result) - grey)
    assert (error <= 2).mean() >= 0.999
    assert error.max() < 20  # of 65,535
    colored = photo16(200, 300)
    assert np.abs(_lightness(colorizer(colored)) - _lightness(colored)).max() < 0.02


def test_an_original_with_colour_is_treated_by_its_lightness(colorizer: Colorizer) -> None:
    rgb = photo(100, 140)
    result = colorizer(rgb)
    assert np.abs(_lightness(result) - _lightness(rgb)).max() < 0.6
    grey = colorizer(rgb, saturation=0.0)
    assert np.ptp(grey, axis=2).max() <= 1
    assert np.abs(result.astype(int) - colorizer(grey)).mean() < 1.5


def test_temperature_and_saturation(colorizer: Colorizer) -> None:
    rgb = photo(100, 140)

    def chroma(**settings: float) -> float:
        result = torch.from_numpy(colorizer(rgb, **settings) / 255).permute(2, 0, 1)
        return float(rgb_to_lab(result)[1:].norm(dim=0).mean())

    assert (
        chroma(temperature=0.0)
        > chroma(temperature=0.38)
        > chroma(temperature=1.0)
        > chroma(temperature=50.0)
    )
    assert chroma() == chroma(temperature=colorizer.temperature, saturation=1.0)
    assert 0.4 * chroma() < chroma(saturation=0.5) < 0.6 * chroma()
    for wrong in ({"temperature": -1.0}, {"temperature": float("nan")}, {"saturation": float("inf")}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be 0 or more"):
            colorizer(rgb, **wrong)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "float16", "float32", "float64"])
@pytest.mark.parametrize("channels", [0, 1, 3, 4])
def test_arrays_keep_their_type(colorizer: Colorizer, dtype: str, channels: int) -> None:
    full = np.dstack((photo16(), photo16()[:, :, 0]))
    grey = channels < 2
    rgba = full[:, :, :1].repeat(4, 2) if grey else full
    scale = 1 / 65535 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max / 65535
    array = (rgba * scale).astype(dtype)
    given = array[:, :, 0] if channels == 0 else array[:, :, :channels]
    result = colorizer(given)
    assert result.dtype == np.dtype(dtype)
    assert result.shape == (*given.shape[:2], 4 if channels == 4 else 3)
    if channels == 4:
        np.testing.assert_array_equal(result[:, :, 3], array[:, :, 3])
    reference = colorizer((rgba[:, :, :3] >> 8).astype(np.uint8)) / 255
    assert np.abs(result[:, :, :3] * (1 / 65535 / scale) - reference).mean() < 0.01


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_pillow_images(colorizer: Colorizer, mode: str) -> None:
    image = Image.fromarray(photo16()[:, :, 0]) if mode == "I;16" else Image.fromarray(photo()).convert(mode)
    if mode == "F":
        image = image.point(lambda level: level * (1 / 255) + 0)
    result = colorizer(image)
    assert result.mode == ("RGBA" if mode in ("LA", "RGBA") else "RGB")
    assert result.size == image.size
    if mode == "RGB":
        np.testing.assert_array_equal(np.asarray(result), colorizer(np.asarray(image)))


@pytest.mark.parametrize(("h", "w"), [(1, 1), (1, 300), (300, 1), (2, 3), (7, 2000)])
def test_extreme_sizes(colorizer: Colorizer, h: int, w: int) -> None:
    rgb = photo(h, w)
    result = colorizer(rgb)
    assert result.shape == (h, w, 3)
    assert np.abs(_lightness(result) - _lightness(rgb)).max() < 0.6


def test_any_memory_layout(colorizer: Colorizer) -> None:
    rgb = photo()
    expected = colorizer(rgb)
    np.testing.assert_array_equal(colorizer(np.asfortranarray(rgb)), expected)
    np.testing.assert_array_equal(colorizer(rgb[::-1][::-1]), expected)
    rgb.flags.writeable = False
    np.testing.assert_array_equal(colorizer(rgb), expected)


class _Threshold(Network):
    """Bin 1 where it is light, bin 0 where it is dark, on a grid of a stride."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.options = {}

    def forward(self, lightness: Tensor) -> Tensor:
        light = torch.nn.functional.avg_pool2d(lightness, self.stride, ceil_mode=True) - 50
        return torch.cat((-light, light), dim=1)


@pytest.mark.parametrize("stride", [1, 4])
def test_colour_lies_where_the_network_saw_it(stride: int) -> None:
    bins = Bins(torch.tensor([[-40.0, 0.0], [40.0, 0.0]]), neighbours=1)
    colorizer = Colorizer(_Threshold(stride), bins, name="threshold", image_size=64)
    picture = np.full((640, 960), 70, np.uint8)
    picture[:, 400:] = 190
    mirrored = colorizer(np.ascontiguousarray(picture[:, ::-1]))[:, ::-1]
    result = colorizer(picture)
    assert np.abs(result.astype(int) - mirrored).max() <= 1  # half a pixel aside would show here
    a = rgb_to_lab(torch.from_numpy(result / 255).permute(2, 0, 1))[1, 320]
    assert int((a < 0).sum()) == 400
    assert a[380 - 10 * stride] < -15
    assert a[420 + 10 * stride] > 15
    # A size that the grid does not divide: the last cell of the grid reaches beyond the picture.
    odd = np.full((67, 93), 70, np.uint8)
    odd[:, 48:] = 190
    a = rgb_to_lab(torch.from_numpy(colorizer(odd) / 255).permute(2, 0, 1))[1, 30]
    assert abs(int((a < 0).sum()) - 48) <= stride / 2


def test_wrong_images_are_named(colorizer: Colorizer) -> None:
    call = plain(Colorizer.__call__)
    wrong = {
        "numpy array, got list": [[1, 2]],
        r"\(h, w, 4\), got \(3, 40, 50\)": np.zeros((3, 40, 50), np.uint8),
        r"got \(40, 50, 2\)": np.zeros((40, 50, 2), np.uint8),
        r"got \(0, 50, 3\)": np.zeros((0, 50, 3), np.uint8),
        r"got \(5,\)": np.zeros(5, np.uint8),
        "got int64": np.zeros((4, 4), np.int64),
        "got bool": np.zeros((4, 4), bool),
        "got uint32": np.zeros((4, 4), np.uint32),
        "from 0 to 1, got 0 to 255": np.linspace(0, 255, 16).reshape(4, 4),
        "got nan": np.full((4, 4), np.nan),
    }
    for message, image in wrong.items():
        with pytest.raises(ValueError, match=message):
            call(colorizer, image)


def test_wrong_settings_are_named() -> None:
    tiny = tiny_colorizer()
    for message, settings in {
        "temperature must be": {"temperature": -0.1},
        "saturation must be": {"saturation": float("nan")},
        "image_size must be 1": {"image_size": 0},
        "prior has 3 bins but": {"prior": torch.ones(3)},
    }.items():
        with pytest.raises(ValueError, match=message):
            Colorizer(tiny.network, tiny.bins, name="conv8", **settings)


def test_devices(colorizer: Colorizer, tmp_path: Path) -> None:
    colorizer.save(tmp_path / "w.safetensors")
    assert Colorizer.load(tmp_path / "w.safetensors", device="auto").device.type in ("cpu", "cuda", "mps")
    for wrong in ("cuda:99", "toaster", "meta"):
        with pytest.raises(ValueError, match=f"no device '{wrong}' here; expected auto, cpu, cuda"):
            Colorizer.load(tmp_path / "w.safetensors", device=wrong)


def test_half_precision_and_what_is_too_large_for_it() -> None:
    tiny = tiny_colorizer()
    lightness = 100 * torch.rand(2, 1, 30, 40)
    with torch.inference_mode():
        exact, half = tiny._logits(lightness, half=False), tiny._logits(lightness, half=True)
        assert half.dtype == torch.float32
        assert 0 < (half - exact).abs().max() < 0.05 * exact.abs().max()
    with torch.no_grad():
        list(tiny.network.parameters())[-1].fill_(1e5)  # an infinite logit in 16 bits
        torch.testing.assert_close(tiny._logits(lightness, half=True), tiny._logits(lightness, half=False))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_and_cpu_agree() -> None:
    on_cpu, on_gpu = tiny_colorizer(), tiny_colorizer().to("cuda")
    assert np.abs(on_cpu(photo(600, 700)).astype(int) - on_gpu(photo(600, 700))).mean() < 0.1


def test_colouring_never_imports_lightning() -> None:
    code = "import sys, colorize; colorize.Colorizer; print([m for m in sys.modules if 'lightning' in m])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
