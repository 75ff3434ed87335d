"""Several processes that train together: which one this is, how they start, what they agree on."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # seconds, which a mistake on the command line need not wait for
    import lightning

RUN_DIR = "COLORIZE_RUN_DIR"  # tells the processes that Lightning starts where the first one's folder is
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")  # of torchrun, Lightning, SLURM


def is_first() -> bool:
    """Whether this process is the one of its run that writes and speaks. It is known before anything is
    imported.
    """
    return all(int(os.environ.get(name) or 0) == 0 for name in RANKS)


def under_torchrun() -> bool:
    """Whether torchrun started this process; it then decides how many there are."""
    return "TORCHELASTIC_RUN_ID" in os.environ


@contextmanager
def together(trainer: "lightning.Trainer", run_dir: Path) -> Iterator[None]:
    """Start the other processes of a run, unless torchrun or SLURM did, and connect all of them.

    Lightning would do so in `fit`; here what comes before it, reading photographs and counting colours, can
    already be shared. On leaving, the environment is as it was, so that the next run of a sweep can start its
    own.
    """
    import torch

    if trainer.world_size == 1:
        yield
        return
    launcher = trainer.strategy.launcher
    before = dict(os.environ)
    os.environ[RUN_DIR] = str(run_dir.resolve())
    try:
        assert launcher is not None
        launcher.launch(lambda: None)
        trainer.strategy.setup_environment()
        yield
    except BaseException:
        if launcher is not None:
            launcher.kill(signal.SIGKILL)  # they would wait for this process in vain
        raise
    finally:
        if torch.distributed.is_initialized():  # what follows is one process's own
            torch.distributed.destroy_process_group()
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def first_on_each_machine(trainer: "lightning.Trainer") -> Iterator[None]:
    """Let one process of each machine go ahead, so that the others find what it left on disk."""
    if trainer.local_rank != 0:
        trainer.strategy.barrier()
    yield
    if trainer.local_rank == 0:
        trainer.strategy.barrier()
