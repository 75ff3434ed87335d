"""Which values settings may have, in one table, so that a wrong one is named before any work begins."""

import math
from collections.abc import Callable, Mapping
from typing import Any

Range = tuple[str, Callable[[float], bool]]

POSITIVE: Range = "above 0", lambda x: x > 0
COUNT: Range = "1 or more", lambda x: x >= 1
NOT_NEGATIVE: Range = "0 or more", lambda x: x >= 0
SHARE: Range = "from 0 to 1", lambda x: 0 <= x <= 1
BELOW_1: Range = "0 or more and below 1", lambda x: 0 <= x < 1

RANGES: dict[str, Range] = {
    "seed": ("from 0 to 4294967295", lambda x: 0 <= x < 2**32),
    "data.val_share": ("between 0 and 1", lambda x: 0 < x < 1),
    "data.image_size": ("from 1 to 8192", lambda x: 1 <= x <= 8192),
    "data.window": COUNT,
    "data.batch_size": COUNT,
    "data.windows_per_photo": COUNT,
    "data.memory_gb": NOT_NEGATIVE,
    "data.disk_gb": NOT_NEGATIVE,
    "data.max_broken": SHARE,
    "data.workers": NOT_NEGATIVE,
    "data.shuffle_block": NOT_NEGATIVE,
    "network.dropout": BELOW_1,
    "network.channel_multiple": COUNT,
    "network.stride": COUNT,
    "loss.lambda": SHARE,
    "loss.temperature": NOT_NEGATIVE,
    "loss.gray_threshold": NOT_NEGATIVE,
    "loss.bins.step": ("from 1 to 110", lambda x: 1 <= x <= 110),
    "loss.bins.neighbours": COUNT,
    "loss.bins.sigma": POSITIVE,
    **{
        f"regularization.{kind}.{norm}": NOT_NEGATIVE
        for kind in ("kernel", "bias", "activity")
        for norm in ("l1", "l2")
    },
    "optimizer.lr": POSITIVE,
    "optimizer.weight_decay": NOT_NEGATIVE,
    "optimizer.momentum": BELOW_1,
    "optimizer.warmup_steps": NOT_NEGATIVE,
    "optimizer.step_every": COUNT,
    "optimizer.step_factor": POSITIVE,
    "optimizer.final_share": SHARE,
    "trainer.devices": ("1 or more, or -1 for all", lambda x: x >= 1 or x == -1),
    "trainer.num_nodes": COUNT,
    "trainer.max_steps": COUNT,
    "trainer.max_epochs": COUNT,
    "trainer.max_minutes": POSITIVE,
    "trainer.val_every_steps": COUNT,
    "trainer.log_every_steps": COUNT,
    "trainer.save_every_minutes": NOT_NEGATIVE,
    "trainer.gradient_clip_val": NOT_NEGATIVE,
    "trainer.early_stopping": NOT_NEGATIVE,
    "trainer.ema_decay": BELOW_1,
}

WHOLE = frozenset(
    {
        "seed", "data.image_size", "data.window", "data.batch_size", "data.windows_per_photo", "data.workers",
        "data.shuffle_block",
        "network.channel_multiple", "network.stride", "loss.bins.neighbours", "optimizer.warmup_steps",
        "optimizer.step_every", "trainer.devices", "trainer.num_nodes", "trainer.max_steps",
        "trainer.max_epochs", "trainer.val_every_steps", "trainer.log_every_steps", "trainer.early_stopping",
    }
)  # fmt: skip

CHOICES: dict[str, tuple[str, ...]] = {
    "data.cache": ("auto", "device", "ram", "none"),
    "loss.smoothing": ("gaussian", "none"),
    "loss.bins.source": ("srgb", "data", "zhang313"),
    "trainer.accelerator": ("auto", "cpu", "gpu", "cuda", "mps"),
    "trainer.precision": ("auto", "32-true", "bf16-mixed", "16-mixed"),
    "trainer.monitor": ("val/loss", "val/loss_unweighted", "val/auc", "val/auc_rebalanced", "val/psnr"),
}


def check_value(key: str, value: object) -> None:
    """Check one setting; null is for the types of the settings to allow.

    Raises:
        ValueError: if it is outside its range.
    """
    if value is None:
        return
    if key in CHOICES and value not in CHOICES[key]:
        raise ValueError(f"{key} must be one of {', '.join(CHOICES[key])}; got {value!r}")
    if key in RANGES:
        wording, fits = RANGES[key]
        if not isinstance(value, int | float) or isinstance(value, bool) or not fits(value):
            raise ValueError(f"{key} must be {wording}, got {value!r}")
    if key in WHOLE and not isinstance(value, int):
        raise ValueError(f"{key} must be a whole number, got {value!r}")
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, float) and not math.isfinite(number):
            raise ValueError(f"{key} must be finite, got {value!r}")


def check_factor(name: str, value: float) -> None:
    """Check a setting of colouring: temperature, saturation, vividness or guide.

    Raises:
        ValueError: if it is negative or not finite.
    """
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be 0 or more and finite, got {value}")


def check_values(settings: Mapping[str, Any], section: str = "") -> None:
    """Check nested settings.

    Args:
        settings: name -> value or group of settings.
        section: what their names are to be preceded by, with a dot at its end.

    Raises:
        ValueError: if one is outside its range.
    """
    for name, value in settings.items():
        if isinstance(value, Mapping):
            check_values(value, f"{section}{name}.")
        else:
            check_value(section + name, value)
