"""Dropout, early stopping and augmentation on the colorizer itself, by its own training code."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from colorize.configuration import check_overrides, compose_config
from colorize.data.decoding import with_progress
from colorize.data.sources import Photo, find_splits
from colorize.studies.summary import Record, statistic

NONE, EARLY, ALL = "none", "early stopping", "all three"


def choose_photographs(
    root: str, train: int, val: int, test: int, folder: Path, seed: int
) -> tuple[list[str], Path]:
    """Draw three sets of photographs and leave their names as train.txt, val.txt and test.txt.

    Those to validate on come from the root's val/, or are a fifth of its training photographs; those to judge
    by come from its test/, or are training photographs left over. Of both there are fewer where the root has
    fewer.

    Returns:
        settings of train.py for the first two; the list of the third.

    Raises:
        ValueError: if there are too few to train on, or none to judge by.
    """
    splits = find_splits(root, val_share=0.2, seed=seed)
    generator = torch.Generator().manual_seed(seed)

    def draw(name: str, photos: Sequence[Photo], wanted: int) -> tuple[Path, list[Photo]]:
        order = torch.randperm(len(photos), generator=generator).tolist()
        listed = folder / f"{name}.txt"
        names = "".join(f"{photos[i].path.resolve()}\n" for i in order[:wanted])
        listed.write_text(names, encoding="utf-8")
        return listed.resolve(), [photos[i] for i in order[wanted:]]

    if len(splits.train) < train:
        raise ValueError(f"{root} has {len(splits.train)} photographs to train on, not {train}")
    training, left = draw("train", splits.train, train)
    validation, _ = draw("val", splits.val, val)
    if not (others := splits.test or left):
        raise ValueError(f"{root} has no photographs left to judge by; lower photographs.train={train}")
    judging, _ = draw("test", others, test)
    return [f"data.root='{training}'", f"data.val_root='{validation}'"], judging


def variants(ways: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Settings of train.py for none of the ways, each alone, and all of them."""
    together = [setting for settings in ways.values() for setting in settings]
    return {NONE: [], **{name: list(settings) for name, settings in ways.items()}, ALL: together}


def sweep(
    settings: Sequence[str],
    ways: Mapping[str, Sequence[str]],
    seeds: Sequence[int],
    folder: Path,
    photographs: Path,
) -> tuple[list[Record], list[Record]]:
    """Train the colorizer with each variant and seed; every run leaves its folder, as train.py would.

    Args:
        settings: key=value settings of train.py that all runs share.
        ways: name -> settings of train.py that turn it on.
        seeds: a run of each variant for each of them.
        folder: of the runs.
        photographs: list of those to judge by, which no run trains on or validates on.

    Returns:
        a record for each run and validation: `step`, `validation loss`, `training loss` (the mean since the
        validation before), and the validation loss without the rebalancing; and a record for each run with
        the losses on the photographs to judge by, of its last weights and of those of the least validation
        loss. All are cross-entropies in nats.

    Raises:
        ValueError: for a wrong setting.
    """
    from colorize.training import train  # Lightning takes seconds to import

    runs = [(name, extra, seed) for seed in seeds for name, extra in variants(ways).items()]
    for _, extra, _ in runs:
        check_overrides([*settings, *extra])  # all of them before the first run
    curves: list[Record] = []
    judged: list[Record] = []
    for name, extra, seed in with_progress(runs, "training", len(runs)):
        run_dir = folder / f"{name.replace(' ', '-')}-{seed}"
        run_dir.mkdir(parents=True, exist_ok=True)
        cfg = compose_config([*settings, *extra, f"seed={seed}"])
        run: Record = {"variant": name, "seed": seed}
        with (run_dir / "train.log").open("w", encoding="utf-8") as log, contextlib.redirect_stdout(log):
            train(cfg, run_dir)
            judged.append({**run, **_judge(cfg, run_dir, photographs)})
        curves += [{**run, **row} for row in _curves(run_dir / "tensorboard")]
    return curves, judged


def _judge(cfg: DictConfig, run_dir: Path, photographs: Path) -> dict[str, float]:
    """Validate a run's last and best weights on other photographs."""
    import lightning

    from colorize.data import PhotoData
    from colorize.training import bins_and_prior, build_module

    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    data = PhotoData(**{**settings["data"], "val_root": str(photographs)}, seed=cfg.seed)
    data.setup()
    module = build_module(settings, data, *bins_and_prior(data, settings["loss"], Path(cfg.cache_dir)))
    trainer = lightning.Trainer(
        accelerator=cfg.trainer.accelerator, devices=1, precision=cfg.trainer.precision, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    row = {}
    for which in ("last", "best"):
        checkpoint = torch.load(
            run_dir / "checkpoints" / f"{which}.ckpt", weights_only=True, map_location="cpu"
        )
        module.load_state_dict(checkpoint["state_dict"])
        (metrics,) = trainer.validate(module, data.val_dataloader(), verbose=False)
        row[f"test loss, {which} weights"] = metrics["val/loss"]
        row[f"unweighted test loss, {which} weights"] = metrics["val/loss_unweighted"]
    return row


def _curves(events: Path) -> list[dict[str, float]]:
    read = EventAccumulator(str(events))
    read.Reload()
    tags = ("val/loss", "train/loss", "val/loss_unweighted")
    validation, training, unweighted = (read.Scalars(tag) for tag in tags)
    rows, before = [], 0
    for at, raw in zip(validation, unweighted, strict=True):
        since = [event.value for event in training if before <= event.step <= at.step]
        rows.append(
            {
                "step": at.step + 1,  # Lightning counts from 0
                "validation loss": at.value,
                "training loss": sum(since) / len(since) if since else math.nan,
                "unweighted loss": raw.value,
            }
        )
        before = at.step
    return rows


def kept(curves: Sequence[Record], judged: Sequence[Record]) -> list[Record]:
    """A record for each run: the losses of the weights that it keeps, and how it came to them.

    Early stopping keeps the weights of the least validation loss, the others the last ones. By the validation
    loss early stopping cannot lose, therefore; by the test loss, which nothing is stopped by, it can.
    """
    runs: dict[tuple[str, int], list[Record]] = {}
    for record in curves:
        runs.setdefault((str(record["variant"]), int(record["seed"])), []).append(record)
    test = {(str(record["variant"]), int(record["seed"])): record for record in judged}
    rows: list[Record] = []
    for (variant, seed), run in runs.items():
        best = min(run, key=lambda record: float(record["validation loss"]))
        stops_early = variant == EARLY or (variant == ALL and (EARLY, seed) in runs)
        chosen, which = (best, "best") if stops_early else (run[-1], "last")
        losses = test[variant, seed]
        rows.append(
            {
                "variant": variant,
                "seed": seed,
                "test loss kept": losses[f"test loss, {which} weights"],
                "unweighted test loss kept": losses[f"unweighted test loss, {which} weights"],
                "test loss, best weights": losses["test loss, best weights"],
                "validation loss kept": chosen["validation loss"],
                "least validation loss": best["validation loss"],
                "at step": best["step"],
                "steps run": run[-1]["step"],
                "training loss at the end": run[-1]["training loss"],
            }
        )
    return rows


def finding(rows: Sequence[Record]) -> str:
    """What each way does to the loss on photographs that no run was stopped by, from `kept`."""
    kept, best = "test loss kept", "test loss, best weights"

    def column(variant: str, key: str) -> list[float]:
        return [float(row[key]) for row in rows if row["variant"] == variant]

    def change(variant: str, key: str) -> str:
        pairs = zip(column(variant, key), column(NONE, key), strict=True)
        apart = statistic([loss - none for loss, none in pairs])
        spread = "" if math.isnan(apart.deviation) else f" ± {apart.deviation:.2f}"
        return f"{apart.mean:+.2f}{spread} {variant}"

    names = list(dict.fromkeys(str(row["variant"]) for row in rows))
    ways = [name for name in names if name != NONE]
    least = min(names, key=lambda name: statistic(column(name, kept)).mean)
    alike = ", ".join(change(name, best) for name in ways if name not in (EARLY, ALL))
    return (
        f"On photographs that no run was stopped by, the last weights with none of the ways have a loss of"
        f" {statistic(column(NONE, kept)).mean:.2f}, their best ones by validation"
        f" {statistic(column(NONE, best)).mean:.2f}; to the former the ways make these differences:"
        f" {', '.join(change(name, kept) for name in ways)}; least is {least}"
        f" ({statistic(column(least, kept)).mean:.2f})"
        f"{'; where all runs keep their best weights they are ' + alike if alike else ''}."
    )
