"""Study 7: the colorizer trained with each way on and off, judged by photographs of their own."""

from pathlib import Path

import pytest
import torch

from colorize.configuration import compose_config
from colorize.studies import sweep
from colorize.studies.summary import Record


def column(records: list[Record], name: str, variant: str) -> list[float]:
    return [float(r[name]) for r in records if r["variant"] == variant]


def test_the_sweep_trains_the_colorizer_with_each_way_on_and_off(sample: Path, tmp_path: Path) -> None:
    chosen, judging = sweep.choose_photographs(str(sample), 6, 4, 3, tmp_path, seed=0)
    settings = [
        *chosen, f"cache_dir='{tmp_path}/cache'", "data.image_size=24", "data.window=20", "data.batch_size=6",
        "data.augment.flip=0.0", "loss.bins.step=30.0", "optimizer.lr=2e-1", "optimizer.schedule=constant",
        "trainer.max_steps=5", "trainer.val_every_steps=1", "trainer.log_every_steps=1",
        "trainer.precision=32-true", "trainer.accelerator=cpu",
    ]  # fmt: skip
    ways = {"early stopping": ["trainer.early_stopping=1"]}
    records, judged = sweep.sweep(settings, ways, [0], tmp_path / "runs", judging)
    steps = {name: column(records, "step", variant=name) for name in ("none", "early stopping")}
    assert steps["none"] == list(range(1, 6))
    assert steps["early stopping"] == steps["none"][: len(steps["early stopping"])]
    none = judged[0]
    last = torch.load(tmp_path / "runs/none-0/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 5
    assert none["test loss, last weights"] != none["test loss, best weights"]
    rows = sweep.kept(records, judged)
    assert column(rows, "test loss kept", variant="none") == [none["test loss, last weights"]]
    early = column(rows, "test loss kept", variant="early stopping")
    assert early == column(rows, "test loss, best weights", variant="early stopping")
    assert f"a loss of {none['test loss, last weights']:.2f}" in sweep.finding(rows)
    # The weights are those of the curves: judged by the photographs to validate on, they have its losses.
    cfg = compose_config([*settings, "seed=0"])
    same = sweep._judge(cfg, tmp_path / "runs/none-0", tmp_path / "val.txt")
    losses = column(records, "validation loss", variant="none")
    assert same["test loss, last weights"] == pytest.approx(losses[-1], rel=1e-4)
    assert same["test loss, best weights"] == pytest.approx(min(losses), rel=1e-4)
    with pytest.raises(ValueError, match="there is no setting"):
        sweep.sweep([*settings, "network.dropuot=1"], ways, [0], tmp_path / "runs", judging)


def test_no_photograph_is_both_to_train_on_and_to_judge_by(sample: Path, tmp_path: Path) -> None:
    def drawn(root: Path, train: int = 48) -> dict[str, set[str]]:
        sweep.choose_photographs(str(root), train, 32, 32, tmp_path, seed=0)
        names = {
            name: (tmp_path / f"{name}.txt").read_text().splitlines() for name in ("train", "val", "test")
        }
        return {name: set(paths) for name, paths in names.items()}

    for sets, count in ((drawn(sample), 48 + 13 + 15), (drawn(sample / "train", 40), 56)):
        assert len(sets["train"] | sets["val"] | sets["test"]) == count
        assert len(sets["train"]) + len(sets["val"]) + len(sets["test"]) == count
    with pytest.raises(ValueError, match="not 1000"):
        drawn(sample, 1000)
    with pytest.raises(ValueError, match="no photographs left"):
        drawn(sample / "train", 45)


def test_the_finding_of_the_sweep_lets_early_stopping_lose() -> None:
    def row(variant: str, seed: int, test: float, best: float) -> Record:
        return {"variant": variant, "seed": seed, "test loss kept": test, "test loss, best weights": best}

    rows = [row("none", 0, 3.0, 3.1), row("none", 1, 3.2, 3.3)]
    rows += [row("early stopping", 0, 3.1, 3.1), row("early stopping", 1, 3.3, 3.3)]
    said = sweep.finding(rows)
    assert "+0.10 ± 0.00 early stopping; least is none (3.10)." in said
    said = sweep.finding([*rows, row("dropout", 0, 2.5, 2.5), row("dropout", 1, 2.5, 2.4)])
    assert (
        "least is dropout (2.50); where all runs keep their best weights they are -0.75 ± 0.21 dropout."
        in said
    )
