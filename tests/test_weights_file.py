import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from colorize import released
from colorize.bins import Bins
from colorize.colorizer import Colorizer
from tests.pictures import photo, plain, tiny_colorizer


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return tiny_colorizer()


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
    monkeypatch.setattr(released, "RELEASED", tmp_path / "weights")
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
