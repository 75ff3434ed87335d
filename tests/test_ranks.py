"""Several processes that train together."""

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock

import lightning
import pytest
import torch
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop

from colorize.data.windows import EpochOrder
from colorize.ranks import is_first
from colorize.trainer import TimeLimit
from tests.runs import QUICK, ROOT, run

SAME = ["network.batch_norm=false", "data.augment.flip=0", "trainer.max_steps=3", "trainer.val_every_steps=3"]


@pytest.mark.slow
def test_two_processes_equal_one_with_the_same_global_batch(tmp_path: Path) -> None:
    """Under torchrun; they leave one folder with one set of results. Their sums are of other order: 1e-5."""
    sample = f"data.root={ROOT / 'data/sample'}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    torchrun = ["-m", "torch.distributed.run", "--master-addr", "127.0.0.1", "--master-port", port]
    torchrun += ["--nproc-per-node", "2", str(ROOT / "train.py")]
    done = subprocess.run(
        [sys.executable, *torchrun, *QUICK, sample, *SAME, "data.batch_size=4"],
        cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("outputs/*/*/")
    assert (folder / "results.json").is_file()
    assert done.stdout.count("Colour a picture:") == 1
    run(tmp_path / "alone", *SAME, "data.batch_size=8")
    ours, theirs = (
        torch.load(path / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for path in (folder, tmp_path / "alone/run")
    )
    assert ours.keys() == theirs.keys()
    for key, weight in ours.items():
        torch.testing.assert_close(weight, theirs[key], rtol=1e-5, atol=1e-5)


def test_ranks_share_an_epoch_without_overlap_and_their_batches_make_the_global_one() -> None:
    alone, *ranks = (
        [which.tolist() for which, _ in EpochOrder(50, batch, seed=3, rank=rank, world_size=world)]
        for batch, rank, world in ((8, 0, 1), (4, 0, 2), (4, 1, 2))
    )
    assert len(alone) == len(ranks[0]) == len(ranks[1]) == 6
    for whole, *parts in zip(alone, *ranks, strict=True):
        assert sorted(whole) == sorted(parts[0] + parts[1])


@pytest.mark.parametrize(("processes", "asked"), [(1, list(range(1, 13))), (2, [5, 10])])
def test_processes_agree_on_the_time_at_log_entries(processes: int, asked: list[int]) -> None:
    steps = []
    trainer = Mock(lightning.Trainer, world_size=processes, log_every_n_steps=5, should_stop=False)
    trainer.strategy.broadcast = lambda stop: steps.append(trainer.global_step) or stop
    limit = TimeLimit(timedelta(minutes=1))
    for trainer.global_step in range(1, 13):
        limit.on_train_batch_end(trainer)
    assert steps == asked
    assert not trainer.should_stop
    limit.load_state_dict({"time_elapsed": {"train": 60.0}})
    trainer.global_step = 15
    limit.on_train_batch_end(trainer)
    assert trainer.should_stop


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"RANK": "8", "LOCAL_RANK": "0"}, False),  # of torchrun's second machine
        ({"LOCAL_RANK": "1"}, False),  # that Lightning started
        ({"NODE_RANK": "1"}, False),  # on a second machine, started by hand
        ({"SLURM_PROCID": "3", "SLURM_LOCALID": "1"}, False),
    ],
)
def test_the_first_process_knows_itself(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], first: bool
) -> None:
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_first() == first


def test_lightning_has_what_is_taken_out_of_each_step() -> None:
    assert callable(_TrainingEpochLoop._broadcast_sigterm_tensor)
