"""Short training runs on the sample photographs, with few, coarse bins to be quick: about 70 at step 20."""

from pathlib import Path
from typing import Any

import torch

from colorize.bins import Bins, srgb_centers
from colorize.configuration import compose_config
from colorize.module import ColorizationModule
from colorize.networks import make_network
from colorize.training import train

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


def last_state(folder: Path) -> dict[str, Any]:
    """The last checkpoint of the run in `folder`."""
    return torch.load(folder / "run/checkpoints/last.ckpt", weights_only=True)


def same_weights(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether two checkpoints agree to the last bit."""
    a, b = a["state_dict"], b["state_dict"]
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def small_module(**options: Any) -> ColorizationModule:
    bins = Bins(srgb_centers(20.0), step=20.0)
    network = make_network("conv8", len(bins))
    prior = torch.full((len(bins),), 1 / len(bins))
    return ColorizationModule(network, bins, prior, window=24, **options)
