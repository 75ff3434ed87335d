"""Study 7: the colorizer trained with each way on and off."""

from pathlib import Path

import pytest

from colorize.studies import sweep
from colorize.studies.summary import Record, summarise


def column(records: list[Record], name: str, variant: str) -> list[float]:
    return [float(r[name]) for r in records if r["variant"] == variant]


def test_the_sweep_trains_the_colorizer_with_each_way_on_and_off(sample: Path, tmp_path: Path) -> None:
    chosen = sweep.choose_photographs(str(sample), 6, 4, tmp_path, seed=0)
    settings = [
        *chosen, f"cache_dir='{tmp_path}/cache'", "data.image_size=24", "data.window=20", "data.batch_size=6",
        "data.augment.flip=0.0", "loss.bins.step=30.0", "optimizer.lr=2e-2", "optimizer.schedule=constant",
        "trainer.max_steps=5", "trainer.val_every_steps=1", "trainer.log_every_steps=1",
        "trainer.precision=32-true", "trainer.accelerator=cpu",
    ]  # fmt: skip
    ways = {"early stopping": ["trainer.early_stopping=1"]}
    records = sweep.sweep(settings, ways, [0], tmp_path / "runs")
    steps = {name: column(records, "step", variant=name) for name in ("none", "early stopping")}
    assert steps["none"] == list(range(1, 6))
    assert steps["early stopping"] == steps["none"][: len(steps["early stopping"])]
    rows = sweep.kept(records)
    early = column(rows, "validation loss kept", variant="early stopping")
    assert early == column(rows, "least validation loss", variant="early stopping")
    assert "cannot lose" in sweep.finding(summarise(rows, ["variant"], list(rows[0])[2:]))
    with pytest.raises(ValueError, match="there is no setting"):
        sweep.sweep([*settings, "network.dropuot=1"], ways, [0], tmp_path / "runs")
    sweep.choose_photographs(str(sample), 48, 32, tmp_path, seed=0)
    lines = [len((tmp_path / name).read_text().splitlines()) for name in ("train.txt", "val.txt")]
    assert lines == [48, 13], "all there are, where there are fewer"
