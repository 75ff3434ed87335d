"""A training run, top to bottom: photographs, bins and prior, module, trainer, results."""

import hashlib
import json
import os
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

from colorize.bins import Bins
from colorize.color import rgb_to_lab
from colorize.data import PhotoData
from colorize.data.module import make_augment
from colorize.module import ColorizationModule
from colorize.networks import make_network
from colorize.optimization import Optimization
from colorize.prior import is_colored
from colorize.prior_file import COUNTED_BY, count_prior, fixed_centers, read_prior, read_prior_for
from colorize.ranges import check_values
from colorize.ranks import first_on_each_machine, is_first, together
from colorize.regularizers import Penalty, Regularizer
from colorize.report import Results, report
from colorize.resuming import BestCheckpoint, Stopped, read_checkpoint
from colorize.trainer import build_trainer, quiet_lightning


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
    if settings["trainer"]["resume"] == "auto":
        last = run_dir / "checkpoints" / "last.ckpt"
        settings["trainer"]["resume"] = str(last) if last.is_file() else None
    _check(settings)
    quiet_lightning()
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    trainer = build_trainer(settings, run_dir)  # first: what this machine does not have is known at once
    data = _build(PhotoData, "data", settings["data"], seed=cfg.seed, cache_dir=cfg.cache_dir)
    if is_first():
        run_dir.mkdir(parents=True, exist_ok=True)
        (run_dir / "config.yaml").write_text(OmegaConf.to_yaml(cfg), encoding="utf-8")
    started = time.perf_counter()
    try:
        with together(trainer, run_dir):
            module, best_path = _fit(cfg, settings, trainer, data, run_dir)
    except Stopped as stopped:
        if is_first():
            print(f"stopped by {stopped}", file=sys.stderr)
        raise SystemExit(stopped.status) from None
    if not is_first():
        return {}
    seconds = time.perf_counter() - started
    best = torch.load(best_path, weights_only=True, map_location="cpu")
    module.load_state_dict(best["state_dict"])
    module.eval()
    return report(trainer, module, data, settings, run_dir, step=best["global_step"], seconds=seconds)


def _fit(
    cfg: DictConfig, settings: dict[str, Any], trainer: lightning.Trainer, data: PhotoData, run_dir: Path
) -> tuple[ColorizationModule, str]:
    """What all processes of a run do together, of which the first alone writes and speaks.

    Returns:
        The module as it is at the end; the checkpoint of its best weights.
    """
    console = Console(quiet=not is_first())
    checkpoint = cast(BestCheckpoint, trainer.checkpoint_callback)
    checkpoint.resume = trainer.strategy.broadcast(settings["trainer"]["resume"])

    with first_on_each_machine(trainer):
        data.setup()
    counts = ", ".join(f"{len(photos)} {name}" for name, photos in vars(data.splits).items() if photos)
    console.print(f"Photographs: {counts}", highlight=False)
    if is_first():
        _write_names(data, run_dir / "val.txt")
        _warn_of_grey_validation(data, cfg.loss.gray_threshold)
    counted = bins_and_prior(data, settings["loss"], Path(cfg.cache_dir)) if is_first() else None
    bins, prior = cast(tuple[Bins, Tensor], trainer.strategy.broadcast(counted))
    module = build_module(settings, data, bins, prior)
    sizes = sum(p.numel() for p in module.network.parameters())
    console.print(
        f"Network: {cfg.network.name}, {sizes / 1e6:.2f} M parameters, {len(bins)} bins", highlight=False
    )

    logger = cast(TensorBoardLogger, trainer.logger)
    logger.experiment.add_text("config", f"```yaml\n{OmegaConf.to_yaml(cfg)}```")
    judged_by = [data.fingerprint("val"), cfg.data.image_size, settings["loss"]]
    checkpoint.judged_by = hashlib.sha256(json.dumps(judged_by).encode()).hexdigest()
    trainer.fit(module, data, ckpt_path=checkpoint.resume, weights_only=True)
    best_path = checkpoint.best_model_path
    if not best_path:  # epochs or minutes ran out before the first validation
        best_path = str(run_dir / "checkpoints" / "last.ckpt")
        trainer.save_checkpoint(best_path)
    return module, best_path


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
        seed=settings["seed"],
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
    _check_devices(trainer["accelerator"], trainer["devices"], trainer["sync_batchnorm"])
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
        step, last = read_checkpoint(trainer["resume"])["global_step"], trainer["max_steps"]
        if last is not None and step >= last and is_first():
            print(
                f"warning: {trainer['resume']} is at step {step}, so that nothing is left of "
                f"trainer.max_steps={last}; for more, raise it",
                file=sys.stderr,
            )


def _check_devices(accelerator: str, devices: int, sync_batchnorm: bool) -> None:
    on_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    there = torch.cuda.device_count() if on_gpu else os.cpu_count() or 1
    if on_gpu or accelerator == "cpu" or (accelerator == "auto" and not torch.backends.mps.is_available()):
        if devices > there:
            raise ValueError(
                f"trainer.devices={devices} is more than the {there} {'GPUs' if on_gpu else 'CPUs'}"
            )
        if devices == -1 and not on_gpu:
            raise ValueError("trainer.devices=-1 is for GPUs; give the number of CPU processes")
    if sync_batchnorm and not on_gpu:
        raise ValueError("trainer.sync_batchnorm is for GPUs; on CPUs leave it false")


def _write_names(data: PhotoData, path: Path) -> None:
    """List the validation photographs, to choose temperature and saturation by."""
    if not any(photo.path.suffix == ".tar" for photo in data.splits.val):
        names = "".join(f"{photo.path.resolve()}\n" for photo in data.splits.val)
        path.write_text(names, encoding="utf-8", errors="surrogateescape")  # as lists are read


def _warn_of_grey_validation(data: PhotoData, threshold: float) -> None:
    squares = data.squares("val")
    if not any(is_colored(rgb_to_lab(rgb.float() / 255), threshold).any() for rgb in squares):
        print(
            f"warning: none of the {len(data.splits.val)} validation photographs is coloured (has |a| or |b| "
            f"above loss.gray_threshold={threshold:g}), so that val/loss is 0 and cannot tell which weights "
            "are best; choose others with data.val_root",
            file=sys.stderr,
        )


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
