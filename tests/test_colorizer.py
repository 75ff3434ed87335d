import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor

from colorize import colorizer as colorizer_module
from colorize import weights_file
from colorize.bins import Bins
from colorize.color import rgb_to_lab, rgb_to_lightness
from colorize.colorizer import Colorizer
from colorize.networks import Network
from colorize.upsampling import cubic_weights
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


def test_tiles_do_not_show(colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = photo(150, 210)
    expected = colorizer(rgb).astype(int)
    monkeypatch.setattr(colorizer_module, "TILE", 37)
    assert np.abs(colorizer(rgb) - expected).max() <= 1


def test_upsampling_is_pillows_bicubic() -> None:
    coarse = np.random.default_rng(0).normal(0, 30, (20, 31)).astype(np.float32)
    for h, w in ((333, 200), (20, 31), (7, 90), (1, 1)):
        expected = np.asarray(Image.fromarray(coarse).resize((w, h), Image.Resampling.BICUBIC))
        rows, columns = cubic_weights(slice(0, h), 20 / h, 20), cubic_weights(slice(0, w), 31 / w, 31)
        result = rows @ torch.from_numpy(coarse).double() @ columns.T
        np.testing.assert_allclose(result, expected, atol=2e-3)
    np.testing.assert_array_equal(
        cubic_weights(slice(50, 60), 0.1, 20), cubic_weights(slice(0, 200), 0.1, 20)[50:60]
    )


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


def test_save_and_load(tmp_path: Path, colorizer: Colorizer) -> None:
    path = tmp_path / "w.safetensors"
    settings = {"temperature": 0.5, "image_size": 48, "saturation": 1.25, "training": {"photographs": 56}}
    saved = Colorizer(
        colorizer.network,
        Bins(colorizer.bins.centers, neighbours=3, sigma=7.0),
        name="conv8",
        prior=colorizer.prior,
        bins_info={"source": "srgb", "step": 40},
        **settings,
    )
    saved.save(path)
    loaded = Colorizer.load(path, device="cpu")
    for key, value in settings.items():
        assert getattr(loaded, key) == value
    assert (loaded.bins.neighbours, loaded.bins.sigma) == (3, 7.0)
    assert loaded.bins_info == {"source": "srgb", "step": 40}
    assert loaded.network.options == colorizer.network.options
    torch.testing.assert_close(loaded.prior, colorizer.prior)
    np.testing.assert_array_equal(loaded(photo()), saved(photo()))

    loaded.save(tmp_path / "half.safetensors", half=True)
    half = Colorizer.load(str(tmp_path / "half.safetensors"), device="cpu")
    assert next(half.network.parameters()).dtype == torch.float32
    assert np.abs(half(photo()).astype(int) - saved(photo())).mean() < 1
    assert (tmp_path / "half.safetensors").stat().st_size < 0.7 * path.stat().st_size
    assert sorted(p.name for p in tmp_path.iterdir()) == ["half.safetensors", "w.safetensors"]


def test_half_keeps_what_it_cannot_hold(tmp_path: Path) -> None:
    tiny = tiny_colorizer()
    with torch.no_grad():
        next(tiny.network.parameters()).fill_(1e6)
    tiny.save(tmp_path / "w.safetensors", half=True)
    loaded = Colorizer.load(tmp_path / "w.safetensors", device="cpu")
    assert (next(loaded.network.parameters()) == 1e6).all()


def test_released_weights_are_found_by_name(
    tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights").mkdir()
    colorizer.save(tmp_path / "weights" / "tiny.safetensors")
    monkeypatch.setattr(weights_file, "RELEASED", tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    Path("tiny").write_text("a file that happens to have the name")
    assert Colorizer.load("tiny").name == "conv8"
    with pytest.raises(ValueError, match="unknown weights 'conv9'; choose from tiny, or"):
        Colorizer.load("conv9")
    for wrong, reason in {
        "none.safetensors": "no such file",
        "./none": "no such file",
        f"{tmp_path}": "is a folder",
    }.items():
        with pytest.raises(ValueError, match=f"{reason}, expected a .safetensors file or one of tiny"):
            Colorizer.load(wrong)


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("it-was-run",)


def test_what_is_no_weights_file(
    tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    colorizer.save("good.safetensors")
    data = Path("good.safetensors").read_bytes()
    with safetensors.safe_open("good.safetensors", "pt") as file:
        about = json.loads(file.metadata()["colorize"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, it is no dictionary
    torch.save({"state_dict": _Evil()}, "run.ckpt")
    Path("evil.safetensors").write_bytes(pickle.dumps(_Evil()))
    Path("cut.safetensors").write_bytes(data[:-10])
    Path("empty.safetensors").write_bytes(b"")
    safetensors.torch.save_file({"x": torch.zeros(2)}, "foreign.safetensors")

    def variant(name: str, about: object, tensors: dict[str, Tensor] = tensors) -> None:
        safetensors.torch.save_file(tensors, name, {"colorize": json.dumps(about)})

    variant("list.safetensors", [1])
    variant("future.safetensors", about | {"format": 2})
    variant("lacks.safetensors", {k: v for k, v in about.items() if k != "bins"})
    variant("network.safetensors", about | {"network": {"name": "conv99"}})
    variant("option.safetensors", about | {"network": about["network"] | {"colour": 1}})
    variant("shape.safetensors", about, tensors | {"network.layers.0.weight": torch.zeros(1, 1, 3, 3)})
    variant("extra.safetensors", about, tensors | {"network.more": torch.zeros(1)})
    variant("no-centers.safetensors", about, {k: v for k, v in tensors.items() if k != "bins.centers"})
    variant("prior.safetensors", about, tensors | {"prior": torch.zeros(3)})
    variant("words.safetensors", about | {"temperature": "warm"})
    expected = {
        "run.ckpt": "damaged, or not a safetensors file .*; a run writes its weights to model.safetensors",
        "evil.safetensors": "damaged, or not a safetensors file",
        "cut.safetensors": "damaged, or not a safetensors file",
        "empty.safetensors": "damaged, or not a safetensors file",
        "foreign.safetensors": "holds no Colorize weights",
        "list.safetensors": "holds no Colorize weights",
        "future.safetensors": "is of format 2, expected 1; update",
        "lacks.safetensors": "these weights lack 'bins'",
        "no-centers.safetensors": "these weights lack 'bins.centers'",
        "network.safetensors": "unknown network 'conv99'; choose one of conv8",
        "option.safetensors": "conv8 has no option colour",
        "shape.safetensors": r"layers.0.weight has shape \(1, 1, 3, 3\), expected",
        "extra.safetensors": r"more has shape \(1,\), expected nothing",
        "prior.safetensors": "prior has 3 bins but there are",
        "words.safetensors": "do not fit together",
    }
    for name, message in expected.items():
        with pytest.raises(ValueError, match=message) as caught:
            plain(Colorizer.load.__func__)(Colorizer, name)
        assert str(caught.value).startswith(f"{name}: ")
        assert "\n" not in str(caught.value)
    assert not Path("it-was-run").exists()


def test_devices(colorizer: Colorizer, tmp_path: Path) -> None:
    colorizer.save(tmp_path / "w.safetensors")
    assert Colorizer.load(tmp_path / "w.safetensors", device="auto").device.type in ("cpu", "cuda", "mps")
    for wrong in ("cuda:99", "toaster", "meta"):
        with pytest.raises(ValueError, match=f"no device '{wrong}' here; expected auto, cpu, cuda"):
            Colorizer.load(tmp_path / "w.safetensors", device=wrong)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_and_cpu_agree() -> None:
    on_cpu, on_gpu = tiny_colorizer(), tiny_colorizer().to("cuda")
    assert np.abs(on_cpu(photo(600, 700)).astype(int) - on_gpu(photo(600, 700))).mean() < 0.1


def test_colouring_never_imports_lightning() -> None:
    code = "import sys, colorize; colorize.Colorizer; print([m for m in sys.modules if 'lightning' in m])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
