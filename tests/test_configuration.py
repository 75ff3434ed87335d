import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from colorize.configuration import CONFIGS, check_overrides, compose_config, quoted_path
from colorize.data import Augment, PhotoData
from colorize.networks import NETWORKS
from colorize.optimization import Optimization
from colorize.ranges import CHOICES, RANGES, check_value, check_values
from colorize.regularizers import Penalty, Regularizer

FILES = sorted(f"{path.parent.name}={path.stem}" for path in CONFIGS.glob("*/*.yaml"))
EXPERIMENTS = sorted(path.stem for path in (CONFIGS / "experiment").glob("*.yaml"))


def parameters(kind: Any) -> set[str]:
    return set(inspect.signature(kind).parameters)


@pytest.mark.parametrize("choice", FILES)
def test_every_file_composes_and_every_key_is_a_parameter(choice: str) -> None:
    cfg = OmegaConf.to_container(compose_config([choice]), resolve=True)
    defaults = OmegaConf.to_container(compose_config(), resolve=True)
    assert isinstance(cfg, dict)
    assert isinstance(defaults, dict)
    assert set(cfg) == set(defaults)
    assert set(cfg["data"]) <= parameters(PhotoData)
    assert set(cfg["data"]["augment"]) <= parameters(Augment.__init__)
    assert set(cfg["network"]) - {"name"} <= set(NETWORKS[cfg["network"]["name"]].option_names())
    assert set(cfg["optimizer"]) <= parameters(Optimization)
    assert set(cfg["regularization"]) <= parameters(Regularizer)
    for kind in ("kernel", "bias", "activity"):
        assert set(cfg["regularization"][kind]) <= parameters(Penalty)
    for section in ("trainer", "loss"):
        assert set(cfg[section]) == set(defaults[section])
    assert set(cfg["loss"]["bins"]) == set(defaults["loss"]["bins"])


def test_every_parameter_has_a_key() -> None:
    cfg: Any = compose_config()
    assert set(cfg.data) == parameters(PhotoData) - {"seed", "cache_dir"}
    assert set(cfg.data.augment) == parameters(Augment)
    assert set(cfg.network) - {"name"} == set(NETWORKS["conv8"].option_names())
    assert set(cfg.optimizer) == parameters(Optimization)
    assert set(cfg.regularization) == parameters(Regularizer)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_builds(experiment: str, sample: Path, tmp_path: Path) -> None:
    from colorize.training import bins_and_prior, build_module

    data_root = f"data.root={sample / 'val'}"  # few: decoding more would be all that this test does
    cfg = OmegaConf.to_container(
        compose_config([f"experiment={experiment}", data_root, "data.val_root=null"]), resolve=True
    )
    assert isinstance(cfg, dict)
    cfg["data"]["image_size"] = 24
    data = PhotoData(**cfg["data"])
    data.setup()
    bins, prior = bins_and_prior(data, cfg["loss"], tmp_path)
    module = build_module(cfg, data, bins, prior)
    assert len(module.prior) == len(bins)


def test_every_range_is_of_a_setting_and_holds_its_default() -> None:
    cfg = compose_config()
    for key in RANGES | CHOICES:
        value = OmegaConf.select(cfg, key, throw_on_missing=True, default="none")
        assert value != "none", key
        check_value(key, value)
    check_values(OmegaConf.to_container(cfg))  # type: ignore[arg-type]


def test_what_may_be_monitored_is_what_validation_logs() -> None:
    from colorize.bins import Bins, srgb_centers
    from colorize.module import ColorizationModule

    bins = Bins(srgb_centers(20.0), step=20.0)
    network = NETWORKS["conv8"](len(bins))
    module = ColorizationModule(network, bins, torch.full((len(bins),), 1 / len(bins)), window=24)
    assert {f"val/{name}" for name in module.val_metrics} == set(CHOICES["trainer.monitor"])


def test_the_papers_constants() -> None:
    cfg: Any = compose_config(["experiment=paper"])
    assert (cfg.optimizer.name, cfg.optimizer.lr, list(cfg.optimizer.betas)) == ("adam", 3.16e-5, [0.9, 0.99])
    assert (cfg.optimizer.weight_decay, cfg.data.batch_size, cfg.data.window) == (1e-3, 40, 176)
    assert (cfg.loss.bins.source, cfg.loss["lambda"], cfg.loss.temperature) == ("zhang313", 0.5, 0.38)


@pytest.mark.parametrize(
    "words",
    [
        ["data.root=somewhere", "network.activation=elu", "trainer.max_epochs=3", "experiment=ot8"],
        ["data.root=[a,b]", "network.dilations=[1,1,2,2,4,4,2,1]", "optimizer.lr=1"],
        ["network.activation=elu,relu", "optimizer=sgd,adam", "seed=range(3)"],
        [
            "experiment=paper",
            "optimizer.lr=1e-4",
            "hydra.run.dir=x",
            "~data.augment.blur",
            "+data.augment.blur=1",
        ],
        ["data.root='a b/{000..003}.tar'", "trainer.gradient_clip_val=null", "trainer.max_steps=null"],
        ["experiment=unet_photos", "trainer.max_minutes=null", "data.val_root=null"],
    ],
)
def test_right_words_pass(words: list[str]) -> None:
    check_overrides(words)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("data.rooot=x", "there is no setting data.rooot; data has root, val_root, val_share"),
        ("dta.root=x", "there is no setting dta.root; the top level has data, network, loss"),
        ("data.root.x=1", "there is no setting data.root.x; data.root has no keys"),
        ("network=vgg", "there is no network=vgg; choose one of conv8"),
        ("experiment=none", "there is no experiment=none; choose one of conv8_scenes, demo"),
        ("data.batch_size=many", "data.batch_size takes a whole number, such as 32; got 'many'"),
        ("optimizer.lr=fast,1e-3", "optimizer.lr takes a number, such as 0.002; got 'fast'"),
        ("network.batch_norm=3", "network.batch_norm takes true or false, such as true; got 3"),
        ("data.batch_size=4.5", "data.batch_size takes a whole number, such as 32; got 4.5"),
        ("data.window=null", "data.window takes a whole number"),
        ("network.activation=[relu]", "network.activation takes a word, such as relu"),
        ("network=null", "there is no network=None; choose one of conv8"),
        ("network.dilations=2", "network.dilations takes a list"),
        ("regularization.kernel=1", "regularization.kernel takes a group of settings"),
        (
            "trainer.monitor=val/lost",
            "monitor must be one of val/loss, val/loss_unweighted, val/auc, .*; got 'val/lost'",
        ),
        ("trainer.precision=8", "precision must be one of auto, 32-true, bf16-mixed, 16-mixed; got 8"),
        ("loss.bins.step=10,0", "loss.bins.step must be from 1 to 110, got 0"),
        ("trainer.log_every_steps=0", "trainer.log_every_steps must be 1 or more, got 0"),
        ("trainer.val_every_steps=0", "trainer.val_every_steps must be 1 or more, got 0"),
        ("trainer.max_steps=0", "trainer.max_steps must be 1 or more, got 0"),
        ("trainer.max_minutes=x", "trainer.max_minutes must be above 0, got 'x'"),
        ("trainer.early_stopping=-1", "trainer.early_stopping must be 0 or more, got -1"),
        ("trainer.gradient_clip_val=-1", "trainer.gradient_clip_val must be 0 or more, got -1"),
        ("trainer.devices=0", "trainer.devices must be 1 or more, or -1 for all, got 0"),
        ("data.memory_gb=-1", "data.memory_gb must be 0 or more, got -1"),
        ("data.max_broken=-0.1", "data.max_broken must be from 0 to 1, got -0.1"),
        ("data.max_broken=1.5", "data.max_broken must be from 0 to 1, got 1.5"),
        ("data.workers=-1", "data.workers must be 0 or more, got -1"),
        ("optimizer.lr=nan", "optimizer.lr must be above 0, got nan"),
    ],
)
def test_wrong_words_are_answered_with_the_valid_ones(word: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        check_overrides([word])


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("data.root=set-{000..003}.tar", "set-{000..003}.tar"),
        ("data.root=my photos (old)/it's", "my photos (old)/it's"),
        ("data.root=[data/ot8/train,p-{0,1}.tar]", ["data/ot8/train", "p-{0,1}.tar"]),
        ("data.root='quoted already/{a,b}'", "quoted already/{a,b}"),
    ],
)
def test_paths_need_no_quotes_beyond_the_shells(word: str, value: object) -> None:
    cfg: Any = OmegaConf.to_container(compose_config([quoted_path(word)]))
    assert cfg["data"]["root"] == value


def test_sweeps_and_other_words_are_left_alone() -> None:
    assert quoted_path("data.root=a,b", sweep=True) == "data.root=a,b"
    assert quoted_path("data.val_root=null") == "data.val_root=null"
    assert quoted_path("seed=1,2") == "seed=1,2"
