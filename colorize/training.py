"""A training run, top to bottom: photographs, bins and prior, module, trainer, results."""

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from torch import Tensor

import colorize
from colorize.bins import Bins
from colorize.color import rgb_to_lab
from colorize.colorizer import Colorizer
from colorize.data import PhotoData
from colorize.data.module import make_augment
from colorize.evaluation import baselines, evaluate, network_colorers, print_table
from colorize.module import ColorizationModule
from colorize.networks import make_network
from colorize.optimization import Optimization
from colorize.prior import is_colored
from colorize.prior_file import COUNTED_BY, count_prior, fixed_centers, read_prior, read_prior_for
from colorize.ranges import check_values
from colorize.regularizers import Penalty, Regularizer
from colorize.resuming import BestCheckpoint, read_checkpoint
from colorize.trainer import build_trainer, quiet_lightning

Results = dict[str, dict[str, dict[str, float]]]


def train(cfg: DictConfig, run_dir: Path) -> Results:
    """Train as configured and leave a run folder.

    The folder gets config.yaml, checkpoints/, model.safetensors, tensorboard/, samples/*.png and
    results.json.

    Returns:
        split -> name -> metrics; the network beside its baselines, on the validation and, if any, the test
        photographs.

    Raises:
        ValueError: for a wrong setting or unusable photographs.
    """
    settings = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    _check(settings)
    quiet_lightning()
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    started = time.perf_counter()
    console = Console()

    trainer = build_trainer(settings, run_dir)  # first: what this machine does not have is known at once
    data = _build(PhotoData, "data", settings["data"], seed=cfg.seed, cache_dir=cfg.cache_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "config.yaml").write_text(OmegaConf.to_yaml(cfg), encoding="utf-8")
    data.setup()
    counts = ", ".join(f"{len(photos)} {name}" for name, photos in vars(data.splits).items() if photos)
    console.print(f"Photographs: {counts}", highlight=False)
    if not any(photo.path.suffix == ".tar" for photo in data.splits.val):
        paths = (f"{photo.path.resolve()}\n" for photo in data.splits.val)
        (run_dir / "val.txt").write_text("".join(paths), encoding="utf-8")  # to choose T and saturation by
    _warn_of_grey_validation(data, cfg.loss.gray_threshold)
    bins, prior = bins_and_prior(data, settings["loss"], Path(cfg.cache_dir))
    module = build_module(settings, data, bins, prior)
    sizes = sum(p.numel() for p in module.network.parameters())
    console.print(
        f"Network: {cfg.network.name}, {sizes / 1e6:.2f} M parameters, {len(bins)} bins", highlight=False
    )

    logger = cast(TensorBoardLogger, trainer.logger)
    logger.experiment.add_text("config", f"```yaml\n{OmegaConf.to_yaml(cfg)}```")
    checkpoint = cast(BestCheckpoint, trainer.checkpoint_callback)
    judged_by = [data.fingerprint("val"), cfg.data.image_size, settings["loss"]]
    checkpoint.judged_by = hashlib.sha256(json.dumps(judged_by).encode()).hexdigest()
    trainer.fit(module, data, ckpt_path=cfg.trainer.resume, weights_only=True)
    seconds = time.perf_counter() - started

    if not checkpoint.best_model_path:  # epochs or minutes ran out before the first validation
        trainer.save_checkpoint(run_dir / "checkpoints" / "last.ckpt")
    best_path = checkpoint.best_model_path or run_dir / "checkpoints" / "last.ckpt"
    best = torch.load(best_path, weights_only=True, map_location="cpu")
    module.load_state_dict(best["state_dict"])
    module.eval()
    facts = _facts(settings, data, trainer.strategy.root_device, best["global_step"], seconds)
    results = _evaluate(module, data)
    weights = run_dir / "model.safetensors"
    colorizer = Colorizer(
        module.network, bins, name=cfg.network.name, temperature=cfg.loss.temperature,
        image_size=cfg.data.image_size, prior=prior, bins_info=settings["loss"]["bins"],
        training=facts | {"results": results},
    )  # fmt: skip
    colorizer.save(weights)
    report = {"results": results, "training": facts}
    (run_dir / "results.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    metrics = {
        f"{split}/{key}": value for split, rows in results.items() for key, value in rows["network"].items()
    }
    logger.log_hyperparams(_flat(settings), metrics)
    logger.finalize("success")

    for split, rows in results.items():
        print_table(rows, f"{split} photographs, at step {best['global_step']} (the best)")
    console.print(
        f"Colour a picture:  python colorize.py --weights {weights} img.jpg", highlight=False, soft_wrap=True
    )
    console.print(f"Look at the run:   tensorboard --logdir {run_dir}", highlight=False, soft_wrap=True)
    return results


def bins_and_prior(data: PhotoData, loss: Mapping[str, Any], cache_dir: Path) -> tuple[Bins, Tensor]:
    """The bins that `loss.bins` asks for and their prior: of the file `loss.prior`, or counted in the
    training photographs and cached by their content.

    Raises:
        ValueError: if a setting is unknown or out of range, or the file is of other bins.
    """
    if loss.get("prior") is not None:
        counted = read_prior_for(loss["prior"], loss)
    else:
        settings = {key: loss[key] for key in COUNTED_BY}
        recipe = json.dumps([data.fingerprint(), data.image_size, settings])
        digest = hashlib.blake2b(recipe.encode(), digest_size=12).hexdigest()
        cached = cache_dir / f"prior-{digest}.safetensors"
        try:
            counted = read_prior(cached)
        except ValueError:  # there is none, or it is damaged
            counted = count_prior(data.train_squares(), settings)
            cache_dir.mkdir(parents=True, exist_ok=True)
            counted.write(cached)
    options = {key: value for key, value in loss["bins"].items() if key != "source"}
    return _build(Bins, "loss.bins", options, centers=counted.centers), counted.prior


def build_module(
    settings: Mapping[str, Any], data: PhotoData, bins: Bins, prior: Tensor
) -> ColorizationModule:
    """The Lightning module of a configuration.

    Raises:
        ValueError: if a setting is unknown or out of range.
    """
    network = dict(settings["network"])
    return ColorizationModule(
        make_network(network.pop("name"), len(bins), **network), bins, prior, data.window,
        lambda_=settings["loss"]["lambda"], temperature=settings["loss"]["temperature"],
        gray_threshold=settings["loss"]["gray_threshold"], augment=data.augment,
        regularizer=_regularizer(settings["regularization"]),
        optimization=_build(Optimization, "optimizer", settings["optimizer"]),
        compile=settings["trainer"]["compile"], channels_last=settings["trainer"]["channels_last"],
    )  # fmt: skip


def _regularizer(penalties: Mapping[str, Any]) -> Regularizer:
    kinds = {
        kind: _build(Penalty, f"regularization.{kind}", penalties[kind])
        for kind in ("kernel", "bias", "activity")
    }
    regularizer: Regularizer = _build(Regularizer, "regularization", {**penalties, **kinds})
    return regularizer


def _check(settings: Mapping[str, Any]) -> None:
    """What can be known to be wrong before the photographs are read."""
    check_values(settings)
    trainer, network, bins = settings["trainer"], dict(settings["network"]), dict(settings["loss"]["bins"])
    _check_devices(trainer["accelerator"], trainer["devices"])
    _build(Optimization, "optimizer", settings["optimizer"])
    _regularizer(settings["regularization"])
    make_augment(settings["data"]["augment"] or {})
    centers = fixed_centers(bins.pop("source"), float(bins["step"]))
    if settings["loss"]["prior"] is not None:
        centers = read_prior_for(settings["loss"]["prior"], settings["loss"]).centers
    if centers is not None:
        _build(Bins, "loss.bins", bins, centers=centers)
    with torch.device("meta"):  # takes no memory and no time
        built = make_network(network.pop("name"), 8 if centers is None else len(centers), **network)
    if settings["data"]["window"] < built.min_window():
        raise ValueError(
            f"data.window must be at least {built.min_window()} for this network, got "
            f"{settings['data']['window']}"
        )
    ends = [trainer[key] for key in ("max_steps", "max_epochs", "max_minutes")]
    if settings["optimizer"]["schedule"] == "cosine" and ends == [None] * 3:
        raise ValueError(
            "optimizer.schedule=cosine needs trainer.max_steps, trainer.max_epochs or trainer.max_minutes"
        )
    if trainer["resume"] is not None:
        if not isinstance(trainer["resume"], str):
            raise ValueError(f"trainer.resume takes the path of a checkpoint, got {trainer['resume']!r}")
        read_checkpoint(trainer["resume"])


def _check_devices(accelerator: str, devices: int) -> None:
    on_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    there = torch.cuda.device_count() if on_gpu else os.cpu_count() or 1
    if on_gpu or accelerator == "cpu" or (accelerator == "auto" and not torch.backends.mps.is_available()):
        if devices > there:
            raise ValueError(
                f"trainer.devices={devices} is more than the {there} {'GPUs' if on_gpu else 'CPUs'}"
            )
        if devices == -1 and not on_gpu:
            raise ValueError("trainer.devices=-1 is for GPUs; give the number of CPU processes")


def _warn_of_grey_validation(data: PhotoData, threshold: float) -> None:
    squares = data.squares("val")
    if not any(is_colored(rgb_to_lab(rgb.float() / 255), threshold).any() for rgb in squares):
        print(
            f"warning: none of the {len(data.splits.val)} validation photographs is coloured (has |a| or |b| "
            f"above loss.gray_threshold={threshold:g}), so that val/loss is 0 and cannot tell which weights "
            "are best; choose others with data.val_root",
            file=sys.stderr,
        )


def _evaluate(module: ColorizationModule, data: PhotoData) -> Results:
    decodings = {"network": (module.temperature, 1.0)}
    colorers = [
        network_colorers(module.network, module.bins, decodings),
        baselines(module.bins, module.prior),
    ]
    return {
        split: evaluate(colorers, data.squares(split), module.bins, module.prior)
        for split, photos in vars(data.splits).items()
        if photos and split != "train"
    }


def _facts(
    settings: Mapping[str, Any], data: PhotoData, device: torch.device, step: int, seconds: float
) -> dict[str, Any]:
    """What the weights file says about its making."""
    threads = torch.get_num_threads()
    return {
        "photographs": len(data.splits.train),
        "root": settings["data"]["root"],
        "best_step": step,
        "minutes": round(seconds / 60, 1),
        "hardware": torch.cuda.get_device_name(device) if device.type == "cuda" else f"{threads} CPU threads",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "colorize": colorize.__version__,
        "settings": settings,
    }


def _build(kind: type[Any], section: str, options: Mapping[str, Any], **more: Any) -> Any:
    """kind(**options), with an unknown option turned into a message that lists the valid ones."""
    import inspect

    parameters = inspect.signature(kind).parameters
    valid = [name for name in parameters if name not in more]
    missing = [name for name in valid if parameters[name].default is inspect.Parameter.empty]
    if absent := [name for name in missing if name not in options]:
        raise ValueError(f"{section} needs {', '.join(absent)}")
    unknown = [key for key in options if key not in valid]
    if unknown:
        raise ValueError(f"{section} has no setting {', '.join(unknown)}; it has {', '.join(valid)}")
    return kind(**options, **more)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = str(value) if isinstance(value, list) else value
    return flat
