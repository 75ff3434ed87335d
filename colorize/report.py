"""How a run ends: results of the best weights, the weights file, tables, and what to do next."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console

import colorize
from colorize.callbacks import Throughput
from colorize.colorizer import Colorizer
from colorize.data import PhotoData
from colorize.evaluation import baselines, evaluate, network_colorers, print_table
from colorize.module import ColorizationModule

Results = dict[str, dict[str, dict[str, float]]]


def report(
    trainer: lightning.Trainer,
    module: ColorizationModule,
    data: PhotoData,
    settings: Mapping[str, Any],
    run_dir: Path,
    step: int,
    seconds: float,
) -> Results:
    """Evaluate a trained module, write model.safetensors and results.json, and print what came out.

    Args:
        trainer: that trained it.
        module: with the weights to keep.
        data: whose validation and test photographs it is measured on.
        settings: of the run.
        run_dir: where the files go.
        step: that the weights are of.
        seconds: that training took.

    Returns:
        split -> name -> metrics.
    """  # fmt: skip
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    throughput = next(callback for callback in callbacks if isinstance(callback, Throughput))
    speed = throughput.summary()
    facts = _facts(settings, data, trainer.strategy.root_device, step, seconds) | {"speed": speed}
    results = _evaluate(module, data)
    loss = settings["loss"]
    weights = run_dir / "model.safetensors"
    colorizer = Colorizer(
        module.network, module.bins, name=settings["network"]["name"], temperature=loss["temperature"],
        image_size=settings["data"]["image_size"], prior=module.prior, bins_info=loss["bins"],
        training=facts | {"results": results},
    )  # fmt: skip
    colorizer.save(weights)
    written = json.dumps({"results": results, "training": facts}, indent=2)
    (run_dir / "results.json").write_text(written, encoding="utf-8")
    logger = cast(TensorBoardLogger, trainer.logger)
    metrics = {
        f"{split}/{key}": value for split, rows in results.items() for key, value in rows["network"].items()
    }
    logger.log_hyperparams(_flat(settings), metrics)
    logger.finalize("success")

    console = Console()
    for split, rows in results.items():
        print_table(rows, f"{split} photographs, at step {step} (the best)")
    if speed:
        rate, peak = speed["photographs_per_second"], speed["matrix_flops_per_second"] / 1e12
        dtype = str(throughput.dtype).removeprefix("torch.")
        console.print(
            f"Speed: {rate:.1f} photographs/s, {speed['share_outside_network']:.1%} of the time outside the "
            f"network; its FLOPs are {speed['flop_utilisation']:.0%} of the {peak:.2f} TFLOP/s measured with "
            f"{dtype} matrices",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
    for line in (
        f"Colour a picture:  python colorize.py --weights {weights} img.jpg",
        f"Look at the run:   tensorboard --logdir {run_dir}",
    ):
        console.print(line, highlight=False, soft_wrap=True)
    return results


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


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = str(value) if isinstance(value, list) else value
    return flat
