"""Whole training runs: what they leave, and what they can be given."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from colorize import Colorizer
from colorize.data.sources import find_photos
from colorize.evaluation import BASELINES
from colorize.trainer import fastest_precision
from colorize.training import bins_and_prior
from tests.runs import ROOT, run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with penalties, all augmentation, averaged weights and early stopping."""
    folder = tmp_path_factory.mktemp("finished")
    run(
        folder, "data=old_prints", "regularization=elastic_net", "regularization.activity.l2=1e-9",
        "trainer.ema_decay=0.9", "trainer.early_stopping=5",
    )  # fmt: skip
    return folder / "run"


def test_a_run_leaves_what_the_design_promises(finished: Path) -> None:
    for name in (
        "config.yaml",
        "val.txt",
        "model.safetensors",
        "results.json",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    ):
        assert (finished / name).stat().st_size > 0, name
    assert sorted(p.name for p in (finished / "samples").iterdir()) == ["step-000003.png", "step-000006.png"]
    with Image.open(finished / "samples" / "step-000006.png") as grid:
        assert grid.size == (5 * 34, 8 * 34)
    report = json.loads((finished / "results.json").read_text())
    assert set(report["results"]) == {"val", "test"}
    assert set(report["results"]["test"]) == {"network", *BASELINES}
    assert report["training"]["photographs"] == 56
    assert len(find_photos(str(finished / "val.txt"))) == 13


def test_checkpoints_load_without_unpickling(finished: Path) -> None:
    checkpoint = torch.load(finished / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 6


def test_tensorboard_shows_curves_pictures_histograms_and_settings(finished: Path) -> None:
    events = EventAccumulator(str(finished / "tensorboard"), size_guidance={"images": 0, "tensors": 0})
    events.Reload()
    tags = events.Tags()
    for curve in (
        "train/loss", "train/loss_unweighted", "train/penalty", "train/gradient_norm",
        "train/photographs_per_second", "train/share_outside_network",
        "train/flop_utilisation", "val/loss", "val/loss_unweighted", "val/auc",
        "val/auc_rebalanced", "val/psnr",
    ):  # fmt: skip
        assert curve in tags["scalars"], curve
    assert [tag for tag in tags["scalars"] if "lr" in tag or "rate" in tag] == ["train/learning_rate"]
    rates = [event.value for event in events.Scalars("train/learning_rate")]
    assert rates[0] == pytest.approx(1e-3), "half of it in the one step of warm-up"
    assert max(rates) == pytest.approx(2e-3)
    assert all(s.value > 0 for s in events.Scalars("train/penalty"))
    assert any(tag.startswith("pictures/") for tag in tags["images"])
    assert sum(tag.startswith("plane/") for tag in tags["images"]) == 2
    assert sum(tag.endswith(".weight") for tag in tags["histograms"]) == 8 + 7  # convolutions and norms
    assert "config/text_summary" in tags["tensors"]
    hparams = [tag for tag in tags["scalars"] if tag in ("test/auc", "val/psnr")]
    assert len(hparams) == 2, "the final metrics beside the settings"


def test_the_weights_file_stands_alone(finished: Path) -> None:
    colorizer = Colorizer.load(finished / "model.safetensors", device="cpu")
    assert colorizer.image_size == 32
    assert colorizer.prior is not None
    assert colorizer.prior.sum().item() == pytest.approx(1, abs=1e-5)
    assert colorizer.training["photographs"] == 56
    assert colorizer(Image.new("L", (50, 40), 128)).size == (50, 40)


def test_two_runs_agree_bit_by_bit(tmp_path: Path) -> None:
    weights = []
    for name in ("a", "b"):
        run(tmp_path / name, "data.augment.grain=3", "network.activation=rrelu", "network.dropout=0.1")
        weights.append(
            torch.load(tmp_path / name / "run/checkpoints/last.ckpt", weights_only=True)["state_dict"]
        )
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_training_on_shards_and_with_bins_of_the_data(tmp_path: Path, sample: Path) -> None:
    import tarfile

    photos = sorted((sample / "train").iterdir())
    for number in range(2):
        with tarfile.open(tmp_path / f"set-{number:03d}.tar", "w") as tar:
            for photo in photos[number::2]:
                tar.add(photo, arcname=photo.name)
    results = run(
        tmp_path, f"data.root='{tmp_path}/set-{{000..001}}.tar'", "data.memory_gb=0", "data.workers=0",
        "loss.bins.source=data", "loss.smoothing=none", "data.val_share=0.1", "trainer.max_steps=2",
        "trainer.val_every_steps=2",
    )  # fmt: skip
    assert set(results) == {"val"}


def test_a_run_shorter_than_the_first_validation_keeps_its_weights(tmp_path: Path) -> None:
    run(tmp_path / "steps", "trainer.max_steps=2", "trainer.val_every_steps=200")
    assert (tmp_path / "steps/run/checkpoints/best.ckpt").is_file()
    run(tmp_path / "epochs", "trainer.max_steps=null", "trainer.max_epochs=1", "trainer.val_every_steps=200")
    assert (tmp_path / "epochs/run/model.safetensors").is_file()
    with pytest.raises(ValueError, match=r"cosine needs trainer\.max_steps, "):
        run(tmp_path / "endless", "trainer.max_steps=null", "data.root=nowhere")


@pytest.mark.parametrize(("grey", "said"), [(13, True), (12, False)])
def test_validation_without_colour_is_said(
    tmp_path: Path, sample: Path, capsys: pytest.CaptureFixture[str], grey: int, said: bool
) -> None:
    for i, path in enumerate(sorted((sample / "val").glob("*.jpg"))):
        Image.open(path).convert("L" if i < grey else "RGB").save(tmp_path / path.name)
    words = ["trainer.max_steps=1", "network.channel_multiple=1", f"data.val_root={tmp_path}"]
    run(tmp_path / "out", *words)
    lines = capsys.readouterr().err.splitlines()
    assert bool(lines) == said
    for line in lines:
        assert line.startswith("warning: none of the 13 validation photographs is coloured")


def test_photographs_that_no_memory_holds_train_the_same(tmp_path: Path) -> None:
    weights = []
    for name, words in (("held", []), ("streamed", ["data.memory_gb=0", "data.workers=0"])):
        run(tmp_path / name, "trainer.max_steps=3", *words)
        weights.append(
            torch.load(tmp_path / name / "run/checkpoints/last.ckpt", weights_only=True)["state_dict"]
        )
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_sgd_adam_and_proximal_run(tmp_path: Path) -> None:
    run(
        tmp_path,
        "optimizer=sgd",
        "regularization=l1_proximal",
        "regularization.kernel.l1=0.5",
        "trainer.max_steps=3",
    )
    state = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    zeros = sum(int((v == 0).sum()) for k, v in state.items() if k.endswith("weight") and v.ndim == 4)
    assert zeros > 1000, "soft-thresholding gives exact zeros"
    run(
        tmp_path,
        "optimizer=adam",
        "optimizer.schedule=steps",
        "trainer.max_steps=2",
        "trainer.val_every_steps=2",
    )


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    for overrides, message in (
        (["optimizer.name=lion"], "unknown optimizer 'lion'; choose one of sgd, adam, adamw"),
        (["optimizer.schedule=linear"], "unknown schedule 'linear'; choose one of constant, steps, cosine"),
        (["network.activation=swish"], "unknown activation 'swish'"),
        (["loss.bins.source=lab"], "loss.bins.source must be one of srgb, data, zhang313; got 'lab'"),
        (["loss.bins.source=zhang313", "loss.bins.step=5"], "the zhang313 bins have step 10"),
        (["loss.lambda=2"], "loss.lambda must be from 0 to 1, got 2"),
        (["data.window=10"], "data.window must be at least 17"),
        (["data.root=nowhere"], "there is no nowhere"),
        (["+regularization.kernel.l3=1"], "regularization.kernel has no setting l3; it has l1, l2"),
    ):
        with pytest.raises(ValueError, match=message):
            run(tmp_path, *overrides)


def test_prior_is_cached_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from colorize.data import PhotoData

    data = PhotoData(str(ROOT / "data/sample"), image_size=24)
    data.setup()
    loss = {"bins": {"source": "srgb", "step": 20, "neighbours": 5, "sigma": 5}, "smoothing": "gaussian"}
    loss["gray_threshold"] = 5.0
    _, prior = bins_and_prior(data, loss, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    with monkeypatch.context() as patch:
        patch.setattr("colorize.training.count_prior", lambda *args: pytest.fail("not from the cache"))
        assert torch.equal(bins_and_prior(data, loss, tmp_path)[1], prior)
    other = bins_and_prior(data, loss | {"smoothing": "none"}, tmp_path)[1]
    assert not torch.equal(other, prior)


def test_precision_follows_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **kwargs: True)
    assert fastest_precision("auto") == "bf16-mixed"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": False}, raising=False)
    assert fastest_precision("auto") == "32-true"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_trains_on_a_gpu(tmp_path: Path) -> None:
    run(tmp_path, "trainer.accelerator=gpu", "trainer.precision=auto")
