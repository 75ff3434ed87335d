"""Training on the sample photographs, with few, coarse bins to be quick: about 70 at step 20."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from colorize import Colorizer
from colorize.bins import Bins, srgb_centers
from colorize.configuration import compose_config
from colorize.data import Augment
from colorize.data.sources import find_photos
from colorize.module import ColorizationModule
from colorize.networks import make_network
from colorize.optimization import Optimization
from colorize.regularizers import Penalty, Regularizer
from colorize.trainer import fastest_precision
from colorize.training import bins_and_prior, train

ROOT = Path(__file__).resolve().parent.parent
QUICK = [
    "loss.bins.step=20",
    "data.image_size=32",
    "data.window=32",
    "data.batch_size=8",
    "trainer.precision=32-true",
    "trainer.accelerator=cpu",
    "trainer.max_steps=6",
    "trainer.val_every_steps=3",
    "trainer.log_every_steps=1",
    "optimizer.warmup_steps=1",
]


def run(folder: Path, *overrides: str) -> dict[str, dict[str, dict[str, float]]]:
    cfg = compose_config([*QUICK, f"cache_dir={folder / 'cache'}", *overrides])
    return train(cfg, folder / "run")


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
    assert set(report["results"]["test"]) == {"network", "gray", "mean colour", "original"}
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
        "train/photographs_per_second", "val/loss", "val/loss_unweighted", "val/auc",
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


def test_time_ends_the_cosine_and_goes_on_when_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute has six steps by a clock that each step moves on by ten seconds."""
    now = 0.0
    step = ColorizationModule.training_step

    def slow_step(self: ColorizationModule, *args: Any) -> torch.Tensor:
        nonlocal now
        now += 10
        return step(self, *args)

    monkeypatch.setattr(ColorizationModule, "training_step", slow_step)
    monkeypatch.setattr("lightning.pytorch.callbacks.timer.time.monotonic", lambda: now)
    minute = ["trainer.max_steps=null", "trainer.max_minutes=1", "optimizer.warmup_steps=0", "optimizer.lr=1"]

    def last_rate(name: str, *overrides: str) -> float:
        run(tmp_path / name, *minute, *overrides)
        state = torch.load(tmp_path / name / "run/checkpoints/last.ckpt", weights_only=True)
        return float(state["lr_schedulers"][0]["_last_lr"][0])

    def cosine(share: float) -> float:
        return 0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2

    assert last_rate("whole") == pytest.approx(0.01)
    assert last_rate("half", "trainer.max_steps=3") == pytest.approx(0.01), "three steps are further along"
    checkpoint = tmp_path / "half/run/checkpoints/last.ckpt"
    resumed = last_rate("resumed", f"trainer.resume={checkpoint}", "trainer.max_minutes=2")
    assert resumed == pytest.approx(0.01)
    state = torch.load(tmp_path / "resumed/run/checkpoints/last.ckpt", weights_only=True)
    assert state["global_step"] == 12, "of its two minutes the run before has used half of one"
    rates = (
        EventAccumulator(str(tmp_path / "resumed/run/tensorboard")).Reload().Scalars("train/learning_rate")
    )
    # The first step takes the rate that the checkpoint ended with.
    assert [e.value for e in rates][1:] == pytest.approx([cosine(k / 12) for k in range(4, 12)], abs=1e-5)


def test_resuming_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    run(tmp_path / "first", "trainer.max_steps=3")
    resume = f"trainer.resume={tmp_path}/first/run/checkpoints/last.ckpt"
    run(tmp_path / "second", resume, "trainer.max_steps=5", "trainer.val_every_steps=1")
    state = torch.load(tmp_path / "second/run/checkpoints/last.ckpt", weights_only=True)
    assert state["global_step"] == 5


def test_the_last_checkpoint_is_the_last_where_it_is_not_the_best(tmp_path: Path) -> None:
    worsening = [
        "trainer.val_every_steps=1", "trainer.monitor=val/psnr", "optimizer.lr=3.0",
        "optimizer.schedule=constant",
    ]  # fmt: skip
    run(tmp_path / "first", "trainer.max_steps=4", *worsening)
    folder = tmp_path / "first/run/checkpoints"
    best, last = (torch.load(folder / f"{name}.ckpt", weights_only=True) for name in ("best", "last"))
    assert best["global_step"] < last["global_step"] == 4
    resumed = [f"trainer.resume={folder}/last.ckpt", "trainer.max_steps=5", *worsening]
    run(tmp_path / "second", *resumed)
    folder = tmp_path / "second/run/checkpoints"
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 5


def test_scores_of_other_photographs_are_not_compared(
    tmp_path: Path, sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "first", "trainer.max_steps=2", "trainer.val_every_steps=1")
    resume = f"trainer.resume={tmp_path}/first/run/checkpoints/last.ckpt"
    run(tmp_path / "second", resume, "trainer.max_steps=4", f"data.val_root={sample / 'test'}")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the run before was validated on other photographs")
    best = torch.load(tmp_path / "second/run/checkpoints/best.ckpt", weights_only=True)
    assert best["global_step"] > 2


@pytest.mark.parametrize("moved", [False, True])
def test_a_resumed_run_ends_with_the_best_of_both(tmp_path: Path, moved: bool) -> None:
    run(tmp_path / "first", "trainer.max_steps=4", "trainer.val_every_steps=2")
    folder = tmp_path / "first/run/checkpoints"
    if moved:
        folder = folder.rename(tmp_path / "elsewhere")
    best = torch.load(folder / "best.ckpt", weights_only=True)
    (state,) = (state for key, state in best["callbacks"].items() if key.startswith("BestCheckpoint"))

    def resumed(name: str) -> dict[str, Any]:
        words = [f"trainer.resume={folder}/last.ckpt", "trainer.max_steps=6", "trainer.val_every_steps=1"]
        run(tmp_path / name, *words)
        return torch.load(tmp_path / name / "run/checkpoints/best.ckpt", weights_only=True)

    state["best_model_score"].fill_(1e9)  # as if it had been as bad as that
    torch.save(best, folder / "best.ckpt")
    assert resumed("better")["global_step"] > 4
    state["best_model_score"].fill_(0)
    torch.save(best, folder / "best.ckpt")
    kept = resumed("worse")
    assert kept["global_step"] == best["global_step"]
    weights = Colorizer.load(tmp_path / "worse/run/model.safetensors", device="cpu").network.state_dict()
    assert all(torch.equal(v, best["state_dict"][f"network.{k}"]) for k, v in weights.items())
    assert torch.load(folder / "best.ckpt", weights_only=True)["global_step"] == best["global_step"]


def test_a_resumed_run_says_where_the_best_before_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "first", "trainer.max_steps=3")
    folder = tmp_path / "first/run/checkpoints"
    (folder / "best.ckpt").unlink()
    run(tmp_path / "second", f"trainer.resume={folder}/last.ckpt", "trainer.max_steps=6")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: there is no {folder}/best.ckpt, the best weights of the run before")
    assert (tmp_path / "second/run/checkpoints/best.ckpt").is_file()


def test_what_cannot_be_resumed_is_one_clear_line(tmp_path: Path) -> None:
    run(tmp_path / "first", "trainer.max_steps=3")
    checkpoint = tmp_path / "first/run/checkpoints/last.ckpt"
    nothing, broken, other = tmp_path / "none.ckpt", tmp_path / "broken.ckpt", tmp_path / "other.ckpt"
    broken.write_bytes(checkpoint.read_bytes()[:-100])
    torch.save({"state_dict": {}}, other)
    for path, words, message in (
        (
            nothing,
            "data.root=nowhere",
            f"there is no file {nothing}; a run writes its own to checkpoints/last.ckpt",
        ),
        (broken, "data.root=nowhere", f"{broken} is damaged or no checkpoint; a run"),
        (other, "data.root=nowhere", f"{other} is no checkpoint of a run of this version; a run"),
        (
            checkpoint,
            "loss.bins.step=40",
            r"of a run with bins=77 at step 20 \(.*\); this one has bins=2. at step 40",
        ),
        (
            checkpoint,
            "network.dropout=0.1",
            "a run with network.dropout=0.0; this one has network.dropout=0.1",
        ),
        (
            checkpoint,
            "optimizer=sgd",
            "a run with optimizer.name=adamw; this one has optimizer.name=sgd; give the",
        ),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            run(tmp_path / "second", f"trainer.resume={path}", words)
        assert "\n" not in str(caught.value)


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


def overfit_module(**options: object) -> ColorizationModule:
    bins = Bins(srgb_centers(20.0), step=20.0)
    network = make_network("conv8", len(bins))
    prior = torch.full((len(bins),), 1 / len(bins))
    return ColorizationModule(network, bins, prior, window=24, **options)


def test_overfits_one_batch_to_near_zero_loss() -> None:
    """Flat areas of pure bin colours told apart by their lightness: the soft target's entropy is all that is
    left.
    """
    bins = Bins(srgb_centers(20.0), neighbours=1, step=20.0)
    network = make_network("conv8", len(bins))
    prior = torch.full((len(bins),), 1 / len(bins))
    module = ColorizationModule(network, bins, prior, window=24)
    module.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    palette = torch.tensor([[200, 40, 30], [30, 60, 200], [240, 220, 40], [20, 80, 20]], dtype=torch.uint8)
    batch = palette[torch.arange(8) % 4].view(8, 3, 1, 1).expand(8, 3, 24, 24).contiguous()
    optimizer = torch.optim.Adam(module.network.parameters(), lr=3e-3)
    first = last = None
    for _ in range(60):
        optimizer.zero_grad()
        last = module.training_step(batch, 0)
        last.backward()
        optimizer.step()
        first = last.item() if first is None else first
    assert first is not None
    assert first > 1
    assert last is not None
    assert last.item() < 0.02


def test_grey_windows_do_not_pull() -> None:
    module = overfit_module()
    module.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    grey = torch.full((2, 3, 24, 24), 99, dtype=torch.uint8)
    module.training_step(grey, 0).backward()
    assert all(p.grad.abs().sum() == 0 for p in module.network.parameters() if p.grad is not None)


def test_the_loss_is_the_weighted_mean_over_pixels() -> None:
    module = overfit_module(lambda_=0.5)
    prior = torch.rand(len(module.bins)) ** 4
    module.class_weights.copy_(prior)
    logits = torch.randn(2, len(module.bins), 3, 3)
    ab = torch.randn(2, 2, 3, 3) * 20
    weighted, unweighted = module.losses(logits, ab, torch.tensor([1.0, 0.0]))
    index, weight = module.bins.soft_encode(ab)
    dense = torch.zeros_like(logits).scatter_(1, index, weight)
    pixel = -(dense * logits.log_softmax(dim=1)).sum(dim=1)
    largest = dense.argmax(dim=1)
    torch.testing.assert_close(unweighted, pixel.mean())
    torch.testing.assert_close(weighted, (pixel * prior[largest])[:1].sum() / 18)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [("constant", [1, 1, 1, 1]), ("steps", [1, 0.5, 0.25, 0.03125]), ("cosine", [1, 0.90546, 0.65796, 0.01])],
)
def test_schedules(schedule: str, rates: list[float]) -> None:
    optimization = Optimization(schedule=schedule, step_every=10, step_factor=0.5)
    got = [optimization.rate(step, 50) for step in (0, 10, 20, 50)]
    assert got == pytest.approx(rates, abs=1e-4)
    if schedule == "cosine":
        assert optimization.rate(0, 50, 0.2) == optimization.rate(10, 50) == optimization.rate(10, 50, 0.1)
        assert optimization.rate(7, math.inf, 0.4) == optimization.rate(20, 50)
    warm = Optimization(schedule=schedule, warmup_steps=4)
    assert [warm.rate(step, 50) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])


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


def test_module_refuses_bins_and_prior_that_disagree() -> None:
    bins = Bins(srgb_centers(20.0), step=20.0)
    with pytest.raises(ValueError, match="prior has 3 bins"):
        ColorizationModule(make_network("conv8", len(bins)), bins, torch.full((3,), 1 / 3), window=32)


def test_penalty_and_augmentation_reach_the_training_step() -> None:
    plain = overfit_module()
    penalised = overfit_module(regularizer=Regularizer(kernel=Penalty(l2=1.0)), augment=Augment(flip=1.0))
    penalised.network.load_state_dict(plain.network.state_dict())
    losses = []
    batch = torch.randint(0, 256, (2, 3, 24, 24), dtype=torch.uint8)
    for module, x in ((plain, batch.flip(-1)), (penalised, batch)):
        module.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
        losses.append(module.training_step(x, 0))
    squares = sum(m.weight.square().sum() for m in plain.network.modules() if isinstance(m, torch.nn.Conv2d))
    torch.testing.assert_close(losses[1] - losses[0], squares, rtol=1e-4, atol=1e-3)


@pytest.mark.slow
def test_the_command_line_trains_and_names_wrong_settings(tmp_path: Path) -> None:
    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, ROOT / "train.py", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    done = command(
        *QUICK, f"data.root={ROOT / 'data/sample'}", "trainer.max_steps=2", "trainer.val_every_steps=2"
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    (weights,) = tmp_path.glob("outputs/*/*/model.safetensors")
    assert "AuC" in done.stdout
    assert str(weights.relative_to(tmp_path)) in done.stdout
    wrong = command("data.rooot=x")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("error: there is no setting data.rooot; data has root, val_root")
    assert len(wrong.stderr.splitlines()) == 1
    missing = command("data.root=nowhere", "hydra.run.dir=refused")
    assert not (tmp_path / "refused").exists()
    assert missing.returncode == 1
    assert (
        missing.stderr == "error: there is no nowhere; data.root takes a folder, a .txt list or .tar shards\n"
    )
    sweep = command("data.root=nowhere,elsewhere", "-m", "hydra.sweep.dir=sweep")
    assert sweep.returncode == 1
    first, second = sweep.stderr.splitlines()
    assert "/sweep/0: there is no nowhere; data.root takes a folder" in first
    assert "/sweep/1: there is no elsewhere; " in second, "a job that cannot run does not end the others"
    before = command("-m", "optimizer.lr=1e-3,0", "hydra.sweep.dir=unused")
    assert (before.returncode, before.stderr) == (2, "error: optimizer.lr must be above 0, got 0\n")
    assert not (tmp_path / "unused").exists(), "no job begins where a value of the sweep is wrong"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_trains_on_a_gpu(tmp_path: Path) -> None:
    assert lightning.__version__
    run(tmp_path, "trainer.accelerator=gpu", "trainer.precision=auto")
