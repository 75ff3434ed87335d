"""Windows of held photographs, and the order in which an epoch shows them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from colorize.data.held import HeldPhotos
from colorize.data.windows import EpochOrder, HeldWindows


def held(*sizes: tuple[int, int]) -> tuple[HeldPhotos, list[torch.Tensor]]:
    photos = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in sizes]
    return HeldPhotos(photos), photos


def test_windows_are_exact_cuts() -> None:
    store, photos = held((20, 30), (16, 16), (40, 12))
    cut = store.cut(torch.tensor([2, 0]), torch.tensor([5, 3]), torch.tensor([1, 7]), 8)
    assert (cut[0] == photos[2][:, 5:13, 1:9]).all()
    assert (cut[1] == photos[0][:, 3:11, 7:15]).all()


def test_small_photographs_go_on_mirrored() -> None:
    store, photos = held((4, 6))
    cut = store.center_squares(torch.tensor([0]), 8)[0]
    expected = np.pad(photos[0].numpy(), ((0, 0), (2, 2), (1, 1)), mode="reflect")
    assert (cut.numpy() == expected).all()


def test_an_epoch_shows_every_photograph_once_and_depends_on_seed_and_epoch_alone() -> None:
    photos = [torch.full((3, 10, 12), i, dtype=torch.uint8) for i in range(23)]
    batches = HeldWindows(HeldPhotos(photos), EpochOrder(23, batch_size=4, seed=5), side=6)
    first = torch.cat(list(batches))
    shown = first[:, 0, 0, 0].tolist()
    assert len(batches) == 5
    assert len(set(shown)) == len(shown) == 20, "23 photographs make five whole batches, none twice"
    second = torch.cat(list(batches))
    assert second[:, 0, 0, 0].tolist() != shown
    resumed = HeldWindows(HeldPhotos(photos), EpochOrder(23, batch_size=4, seed=5, epoch=1), side=6)
    assert (torch.cat(list(resumed)) == second).all()


def test_ranks_share_an_epoch_without_overlap() -> None:
    shown = [torch.cat([which for which, _ in EpochOrder(24, 4, rank=rank, world_size=2)]) for rank in (0, 1)]
    assert sorted(torch.cat(shown).tolist()) == list(range(24))


def test_windows_reach_every_position() -> None:
    ramp = torch.arange(10 * 10, dtype=torch.uint8).view(1, 10, 10).expand(3, 10, 10).contiguous()
    batches = HeldWindows(HeldPhotos([ramp]), EpochOrder(1, 50, repeats=200), 8)
    corners = {int(w[0, 0, 0]) for batch in batches for w in batch}
    assert corners == {10 * y + x for y in range(3) for x in range(3)}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux counts peaks of memory")
def test_holding_photographs_needs_their_memory_once() -> None:
    def peak_mb() -> float:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = peak_mb()
    held = HeldPhotos(torch.full((3, 64, 85), i % 256, dtype=torch.uint8) for i in range(10_000))
    size = held.pixels.numel() / 2**20
    assert size > 150
    assert peak_mb() - before < 1.25 * size
