"""A training run, top to bottom: photographs, bins and prior, module, trainer, results."""

import hashlib
import json
import logging
import platform
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
)
from lightning.pytorch.loggers import TensorBoardLogger
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from torch import Tensor

import colorize
from colorize.bins import Bins, srgb_centers, zhang313_centers
from colorize.callbacks import PictureGrid, PriorOnPlane, Throughput, WeightHistograms
from colorize.colorizer import Colorizer
from colorize.data import PhotoData
from colorize.evaluation import baselines, evaluate, network_colorer, print_table
from colorize.images import replacing
from colorize.module import ColorizationModule
from colorize.networks import make_network
from colorize.optimization import Optimization
from colorize.prior import batches_to_lab, color_prior, used_grid_centers
from colorize.progress import StepProgress
from colorize.regularizers import Penalty, Regularizer

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
    _quiet_lightning()
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    started = time.perf_counter()
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "config.yaml").write_text(OmegaConf.to_yaml(cfg), encoding="utf-8")
    console = Console()

    data = _build(PhotoData, "data", settings["data"], seed=cfg.seed)
    data.setup()
    counts = ", ".join(f"{len(photos)} {name}" for name, photos in vars(data.splits).items() if photos)
    console.print(f"Photographs: {counts}", highlight=False)
    bins, prior = bins_and_prior(data, settings["loss"], Path(cfg.cache_dir))
    module = build_module(settings, data, bins, prior)
    sizes = sum(p.numel() for p in module.network.parameters())
    console.print(
        f"Network: {cfg.network.name}, {sizes / 1e6:.2f} M parameters, {len(bins)} bins", highlight=False
    )

    logger = TensorBoardLogger(run_dir, name="", version="tensorboard", default_hp_metric=False)
    logger.experiment.add_text("config", f"```yaml\n{OmegaConf.to_yaml(cfg)}```")
    callbacks = _callbacks(settings, data, run_dir)
    trainer = build_trainer(settings["trainer"], callbacks, logger, run_dir)
    trainer.fit(module, data, ckpt_path=cfg.trainer.resume, weights_only=True)
    seconds = time.perf_counter() - started

    checkpoint = next(c for c in callbacks if isinstance(c, ModelCheckpoint))
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
    """The bins that `loss.bins` asks for and their prior in the training photographs, cached by content.

    Raises:
        ValueError: if a setting is unknown or out of range.
    """
    options = dict(loss["bins"])
    source, step = options.pop("source"), float(options["step"])
    if source not in ("srgb", "data", "zhang313"):
        raise ValueError(f"unknown loss.bins.source {source!r}; choose one of srgb, data, zhang313")
    if source == "zhang313" and step != 10:
        raise ValueError(f"the zhang313 bins have step 10, got loss.bins.step={step:g}")
    if source == "data":
        centers = used_grid_centers(
            batches_to_lab(data.train_squares(), threshold=loss["gray_threshold"]), step
        )
    else:
        centers = srgb_centers(step) if source == "srgb" else zhang313_centers()
    bins = _build(Bins, "loss.bins", options, centers=centers)
    counted = {key: loss[key] for key in ("bins", "smoothing", "gray_threshold")}
    recipe = json.dumps([data.fingerprint(), data.image_size, centers.tolist(), counted])
    cached = cache_dir / f"prior-{hashlib.blake2b(recipe.encode(), digest_size=12).hexdigest()}.pt"
    if cached.is_file():
        return bins, torch.load(cached, weights_only=True)
    prior = color_prior(
        batches_to_lab(data.train_squares(), threshold=loss["gray_threshold"]), bins, loss["smoothing"]
    )
    cache_dir.mkdir(parents=True, exist_ok=True)
    with replacing(cached) as temporary:
        torch.save(prior, temporary)
    return bins, prior


def build_module(
    settings: Mapping[str, Any], data: PhotoData, bins: Bins, prior: Tensor
) -> ColorizationModule:
    """The Lightning module of a configuration.

    Raises:
        ValueError: if a setting is unknown or out of range.
    """
    network = dict(settings["network"])
    penalties = dict(settings["regularization"])
    for kind in ("kernel", "bias", "activity"):
        penalties[kind] = _build(Penalty, f"regularization.{kind}", penalties[kind])
    return ColorizationModule(
        make_network(network.pop("name"), len(bins), **network), bins, prior, data.window,
        lambda_=settings["loss"]["lambda"], temperature=settings["loss"]["temperature"],
        gray_threshold=settings["loss"]["gray_threshold"], augment=data.augment,
        regularizer=_build(Regularizer, "regularization", penalties),
        optimization=_build(Optimization, "optimizer", settings["optimizer"]),
        compile=settings["trainer"]["compile"], channels_last=settings["trainer"]["channels_last"],
    )  # fmt: skip


def build_trainer(
    options: Mapping[str, Any], callbacks: list[Callback], logger: TensorBoardLogger, run_dir: Path
) -> lightning.Trainer:
    """Lightning's Trainer of the `trainer` settings."""
    precision: Any = options["precision"]
    if precision == "auto":
        precision = fastest_precision(options["accelerator"])
    return lightning.Trainer(
        accelerator=options["accelerator"],
        devices=options["devices"],
        precision=precision,
        max_steps=-1 if options["max_steps"] is None else options["max_steps"],
        max_epochs=-1 if options["max_epochs"] is None else options["max_epochs"],
        max_time=None if options["max_minutes"] is None else {"minutes": options["max_minutes"]},
        # Never fewer than one validation: without one there is no best checkpoint.
        val_check_interval=min(
            options["val_every_steps"], options["max_steps"] or options["val_every_steps"]
        ),
        check_val_every_n_epoch=None,
        log_every_n_steps=options["log_every_steps"],
        gradient_clip_val=options["gradient_clip_val"],
        deterministic=options["deterministic"],
        callbacks=callbacks,
        logger=logger,
        default_root_dir=run_dir,
        enable_progress_bar=False,  # StepProgress instead
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # WindowBatches knows its rank
    )


def fastest_precision(accelerator: str) -> str:
    """bf16-mixed on GPUs and CPUs with bf16 matrix units (a third of the time there), else 32-true."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    if accelerator in ("auto", "cpu") and hasattr(torch.cpu, "get_capabilities"):
        return "bf16-mixed" if torch.cpu.get_capabilities().get("amx_bf16") else "32-true"
    return "32-true"


def _callbacks(settings: Mapping[str, Any], data: PhotoData, run_dir: Path) -> list[Callback]:
    options = settings["trainer"]
    monitor = options["monitor"]
    mode = "min" if "loss" in monitor else "max"
    callbacks: list[Callback] = [
        ModelCheckpoint(run_dir / "checkpoints", "best", monitor=monitor, mode=mode, save_last=True,
                        auto_insert_metric_name=False, enable_version_counter=False),
        LearningRateMonitor("step"),
        Throughput(),
        PriorOnPlane(settings["loss"]["bins"]["step"]),
        PictureGrid(next(iter(data.squares("val", 8))), run_dir / "samples"),
        WeightHistograms(),
        StepProgress(),
    ]  # fmt: skip
    if options["early_stopping"]:
        callbacks.append(EarlyStopping(monitor, mode=mode, patience=options["early_stopping"], verbose=False))
    if options["ema_decay"]:
        callbacks.append(EMAWeightAveraging(decay=options["ema_decay"]))
    return callbacks


def _evaluate(module: ColorizationModule, data: PhotoData) -> Results:
    colorers = baselines(module.bins, module.prior)
    colorers = {"network": network_colorer(module.network, module.bins, module.temperature), **colorers}
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

    valid = [name for name in inspect.signature(kind).parameters if name not in more]
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


def _quiet_lightning() -> None:
    """Keep Lightning's notes on hardware and its advice on data loaders off the terminal."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
