"""Epochs over ranks and workers: every photograph once, also where a run is resumed in the middle."""

import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch

from colorize.data import PhotoData
from colorize.data.decoding import BrokenFiles
from colorize.data.photo import Photo
from colorize.data.shards import photos_in_shard
from colorize.data.sources import find_photos
from colorize.data.streaming import StreamedBatches, read_ahead
from colorize.data.windows import EpochOrder
from tests.photos import save_photo
from tests.test_training import run


def shown(order: EpochOrder) -> list[list[int]]:
    return [which.tolist() for which, _ in order]


def flat(batches: Iterable[list[int]]) -> list[int]:
    return [i for batch in batches for i in batch]


@pytest.mark.parametrize("block", [0, 3])
@pytest.mark.parametrize(("photos", "repeats", "world"), [(24, 1, 1), (26, 1, 2), (97, 1, 3), (25, 2, 4)])
def test_ranks_together_show_every_photograph_once_but_for_an_incomplete_batch(
    photos: int, repeats: int, world: int, block: int
) -> None:
    ranks = [
        shown(EpochOrder(photos, 4, repeats, rank=r, world_size=world, block=block)) for r in range(world)
    ]
    whole = photos * repeats // (4 * world)
    assert [len(batches) for batches in ranks] == [whole] * world
    assert {len(batch) for batches in ranks for batch in batches} == {4}
    seen = [i for batches in ranks for batch in batches for i in batch]
    counts = torch.bincount(torch.tensor(seen), minlength=photos)
    assert counts.max() <= repeats
    assert (repeats - counts).sum() == photos * repeats - 4 * world * whole < 4 * world


def test_ranks_together_show_what_one_process_shows_with_their_batches_joined() -> None:
    alone = [sorted(batch) for batch in shown(EpochOrder(50, 12))]
    ranks = [shown(EpochOrder(50, 4, rank=r, world_size=3)) for r in range(3)]
    assert [sorted(flat(batches)) for batches in zip(*ranks, strict=True)] == alone


def test_what_is_left_over_differs_from_epoch_to_epoch() -> None:
    left = [set(range(10)) - set(flat(shown(EpochOrder(10, 4, epoch=epoch)))) for epoch in range(4)]
    assert all(len(one) == 2 for one in left)
    assert len({frozenset(one) for one in left}) > 1


def test_fewer_photographs_than_one_batch_of_all_ranks() -> None:
    ranks = [shown(EpochOrder(7, 4, rank=r, world_size=3)) for r in range(3)]
    assert [len(batch) for (batch,) in ranks] == [2, 2, 2]
    with pytest.raises(ValueError, match="2 photographs to train on are too few for 3 processes"):
        EpochOrder(2, 4, world_size=3)


def test_blocks_are_read_one_after_the_other_and_mixed() -> None:
    announced: list[torch.Tensor] = []
    order = EpochOrder(960, 10, block=5, ahead=announced.append)
    indices = torch.tensor(flat(shown(order)))
    for pool in indices.split(80):  # 16 blocks of 5
        starts = pool.unique() // 5
        assert len(starts.unique()) == 16
    assert torch.equal(torch.cat(announced), indices), "each is announced once, in time"
    assert (indices[1:] - indices[:-1] == 1).float().mean() < 0.05
    assert sorted(indices.tolist()) == list(range(960))


def test_an_epoch_can_be_begun_in_its_middle() -> None:
    for options in ({}, {"block": 3, "repeats": 2}):
        whole = list(EpochOrder(30, 4, seed=1, epoch=2, **options))
        later = EpochOrder(30, 4, seed=1, epoch=2, shown=3, **options)
        for (one, where), (other, there) in zip(whole[3:], later, strict=True):
            assert torch.equal(one, other)
            assert torch.equal(where, there)


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_streams_show_every_photograph_once_over_ranks_and_workers(tmp_path: Path) -> None:
    """Photographs whose every pixel is their number, in two shards."""
    from PIL import Image

    for number in range(2):
        with tarfile.open(tmp_path / f"set-{number}.tar", "w") as tar:
            for i in range(number * 13, number * 13 + 13):
                Image.new("RGB", (24, 20), (i, i, i)).save(tmp_path / f"{i}.png")
                tar.add(tmp_path / f"{i}.png", arcname=f"{i}.png")
    photos = find_photos(f"{tmp_path}/set-{{0..1}}.tar")
    for block in (0, 4):
        seen: list[int] = []
        for rank in range(2):
            order = EpochOrder(
                26, 3, rank=rank, world_size=2, block=block, ahead=lambda which: read_ahead(photos, which)
            )
            batches = StreamedBatches(photos, order, 16, 8, BrokenFiles(0, 26), workers=2)
            seen += [int(window[0, 0, 0]) for batch in batches for window in batch]
        assert len(set(seen)) == len(seen) == 24


def test_reading_ahead_joins_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.tar").touch()
    photos = [Photo(tmp_path / "a.tar", f"{i}.jpg", 900, 1024 * i + 512) for i in range(10)]
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr("os.posix_fadvise", lambda _, start, length, __: calls.append((start, length)))
    read_ahead(photos, torch.tensor([7, 1, 2, 3, 8]), gap=500)
    assert calls == [(1536, 2 * 1024 + 900), (7680, 1024 + 900)]
    photos[0].path.unlink()  # which decoding says
    read_ahead(photos, torch.tensor([1]))


def test_the_index_of_a_shard_is_kept_and_never_trusted_when_damaged(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard, cache = shards / "set-000.tar", shards / "cache"
    expected = photos_in_shard(shard)
    assert photos_in_shard(shard, cache) == expected
    (index,) = cache.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr("colorize.data.shards._scan", lambda _: pytest.fail("the shard was scanned"))
        assert photos_in_shard(shard, cache) == expected
        assert [p.name for p in find_photos(str(shard), cache_dir=cache)] == [p.name for p in expected]
    for damage in (index.read_bytes()[:-1], b"", b"x" * 100):
        index.write_bytes(damage)
        assert photos_in_shard(shard, cache) == expected
    with tarfile.open(shard, "a") as tar:
        tar.add(save_photo(shards / "new.png", 1), arcname="new.png")
    assert len(photos_in_shard(shard, cache)) == len(expected) + 1


class Seen(lightning.Callback):
    """Notes the batches that are trained on."""

    def __init__(self) -> None:
        self.batches: list[torch.Tensor] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: torch.Tensor, batch_idx: int) -> None:
        self.batches.append(batch.clone())


@pytest.mark.parametrize("cache", ["ram", "none"])
def test_a_run_resumed_within_an_epoch_goes_on_with_what_it_has_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    """56 photographs in batches of 8 are epochs of 7 steps; the checkpoints are at steps 3, 7 and 10."""
    import colorize.training

    build = colorize.training.build_trainer

    def trained(name: str, *words: str) -> list[torch.Tensor]:
        seen = Seen()

        def with_notes(*args: Any) -> lightning.Trainer:
            trainer = build(*args)
            trainer.callbacks.append(seen)  # type: ignore[attr-defined]
            return trainer

        monkeypatch.setattr(colorize.training, "build_trainer", with_notes)
        small = ["loss.bins.step=60", "data.image_size=24", "data.window=20", "trainer.val_every_steps=100"]
        run(tmp_path / name, *small, f"data.cache={cache}", "data.workers=0", "data.augment.flip=0", *words)
        return seen.batches

    whole = trained("whole", "trainer.max_steps=16")
    assert len(whole) == 16
    pieces, resume = [], "trainer.resume=null"
    for end in (3, 7, 10, 16):
        pieces += trained(f"to{end}", f"trainer.max_steps={end}", resume)
        assert len(pieces) == end
        resume = f"trainer.resume={tmp_path}/to{end}/run/checkpoints/last.ckpt"
    assert all(torch.equal(one, other) for one, other in zip(whole, pieces, strict=True))


def test_another_batch_size_begins_the_epoch_anew_and_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = PhotoData(str(folder), val_share=0.2, image_size=32, window=24, batch_size=2, cache="none")
    data.load_state_dict({"epoch": 3, "batches": 2, "order": [8, 1, 4, 1, 0, 0]})
    data.train_dataloader()
    assert data.order is not None
    assert (data.order.epoch, data.order.shown) == (3, 0)
    assert "had other photographs, batches or devices" in capsys.readouterr().err
    data.load_state_dict({"epoch": 3, "batches": 2, "order": [8, 1, 2, 1, 0, 0]})
    data.train_dataloader()
    assert (data.order.epoch, data.order.shown) == (3, 2)
    assert capsys.readouterr().err == ""
