"""Dropout, early stopping and augmentation on the colorizer itself, by its own training code."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from colorize.configuration import check_overrides, compose_config
from colorize.data.decoding import with_progress
from colorize.data.sources import find_splits
from colorize.studies.summary import Record, Table

NONE, EARLY, ALL = "none", "early stopping", "all three"


def choose_photographs(root: str, train: int, val: int, folder: Path, seed: int) -> list[str]:
    """Draw photographs and leave their names as train.txt and val.txt; the settings that say so.

    Validation photographs come from the root's val/, or a fifth of its training photographs; never from
    test/. Where there are fewer than wanted, all are taken.

    Raises:
        ValueError: if there are none.
    """
    splits = find_splits(root, val_share=0.2, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    overrides = []
    for key, photos, wanted in (("root", splits.train, train), ("val_root", splits.val, val)):
        chosen = torch.randperm(len(photos), generator=generator)[:wanted].tolist()
        listed = folder / ("train.txt" if key == "root" else "val.txt")
        names = "".join(f"{photos[i].path.resolve()}\n" for i in chosen)
        listed.write_text(names, encoding="utf-8", errors="surrogateescape")  # as lists are read
        overrides.append(f"data.{key}='{listed.resolve()}'")
    return overrides


def variants(ways: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Settings of train.py for none of the ways, each alone, and all of them."""
    together = [setting for settings in ways.values() for setting in settings]
    return {NONE: [], **{name: list(settings) for name, settings in ways.items()}, ALL: together}


def sweep(
    settings: Sequence[str], ways: Mapping[str, Sequence[str]], seeds: Sequence[int], folder: Path
) -> list[Record]:
    """Train the colorizer with each variant and seed; every run leaves its folder, as train.py would.

    Args:
        settings: key=value settings of train.py that all runs share.
        ways: name -> settings of train.py that turn it on.
        seeds: a run of each variant for each of them.
        folder: of the runs.

    Returns:
        a record for each run and validation: `step`, `validation loss`, `training loss` (the mean since the
        validation before), and the validation loss without the rebalancing; cross-entropies in nats.

    Raises:
        ValueError: for a wrong setting.
    """
    from colorize.training import train  # Lightning takes seconds to import

    runs = [(name, extra, seed) for seed in seeds for name, extra in variants(ways).items()]
    for _, extra, _ in runs:
        check_overrides([*settings, *extra])  # all of them before the first run
    records: list[Record] = []
    for name, extra, seed in with_progress(runs, "training", len(runs)):
        run_dir = folder / f"{name.replace(' ', '-')}-{seed}"
        run_dir.mkdir(parents=True, exist_ok=True)
        cfg = compose_config([*settings, *extra, f"seed={seed}"])
        with (run_dir / "train.log").open("w", encoding="utf-8") as log, contextlib.redirect_stdout(log):
            train(cfg, run_dir)
        records += [{"variant": name, "seed": seed, **row} for row in _curves(run_dir / "tensorboard")]
    return records


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


def kept(records: Sequence[Record]) -> list[Record]:
    """A record for each run: the validation loss of the weights that it keeps, and how it came to them.

    Early stopping keeps the best weights, the others the last ones.
    """
    runs: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        runs.setdefault((str(record["variant"]), int(record["seed"])), []).append(record)
    rows: list[Record] = []
    for (variant, seed), run in runs.items():
        best = min(run, key=lambda record: float(record["validation loss"]))
        stops_early = variant == EARLY or (variant == ALL and (EARLY, seed) in runs)
        chosen = best if stops_early else run[-1]
        rows.append(
            {
                "variant": variant,
                "seed": seed,
                "validation loss kept": chosen["validation loss"],
                "unweighted loss kept": chosen["unweighted loss"],
                "least validation loss": best["validation loss"],
                "at step": best["step"],
                "steps run": run[-1]["step"],
                "training loss at the end": run[-1]["training loss"],
            }
        )
    return rows


def finding(table: Table) -> str:
    """What each way does to the validation loss, from `kept` summarised by variant."""
    loss = {name: columns["validation loss kept"] for (name,), columns in table.items()}
    ways = [name for name in loss if name != NONE]
    best = min(loss, key=lambda name: loss[name].mean)
    changes = ", ".join(f"{loss[name].mean - loss[NONE].mean:+.2f} {name}" for name in ways)
    least = table[(NONE,)]["least validation loss"].mean
    grew = loss[NONE].mean - least
    return (
        f"With none of them the validation loss rises by {grew:.2f} from its least, {least:.2f}, to the end"
        f" of the training; to the {loss[NONE]} that it ends at, the ways make these differences: {changes};"
        f" the least loss is kept by {best} ({loss[best]}); early stopping cannot lose by this measure, as it"
        " stops by the same photographs."
    )
