"""The data module: what is held, what is streamed, broken files."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from colorize.data import PhotoData
from colorize.data.decoding import BrokenFiles, decode, decode_all
from colorize.data.sources import find_photos, find_splits
from colorize.data.streaming import StreamedBatches
from colorize.data.windows import EpochOrder
from tests.photos import save_photo


def test_broken_files_are_named_counted_and_limited(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "wood" / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    (folder / "sea" / "empty.png").write_bytes(b"")
    photos = find_photos(str(folder))
    assert len(list(decode_all(photos, 32, BrokenFiles(0.2, len(photos))))) == 10
    err = capsys.readouterr().err
    assert "broken.jpg" in err
    assert "empty.png" in err
    with pytest.raises(ValueError, match=r"2 of 12 photographs are broken, more than data.max_broken=0.1"):
        list(decode_all(photos, 32, BrokenFiles(0.1, len(photos))))


def test_one_broken_file_is_forgiven_whatever_split_it_falls_into(folder: Path) -> None:
    (folder / "a.png").write_bytes(b"broken")
    for seed in range(6):
        data = PhotoData(str(folder), val_share=0.3, image_size=32, seed=seed)
        data.setup()
        assert len(data.held["train"]) + len(data.held["val"]) == 10


def test_decoding_scales_the_shorter_side(folder: Path) -> None:
    photo = decode(find_photos(str(folder))[0], 32)
    assert photo.shape == (3, 40, 32)
    assert photo.dtype == torch.uint8


def streamed(folder: Path, workers: int, max_broken: float, **options: object) -> PhotoData:
    data = PhotoData(
        str(folder), val_share=0.2, image_size=32, window=24, batch_size=4, memory_gb=0, workers=workers,
        max_broken=max_broken, **options,
    )  # fmt: skip
    data.setup()
    assert not data.held, "validation photographs are in the budget too"
    return data


@pytest.mark.filterwarnings(
    "ignore:This DataLoader will create:UserWarning"
)  # more workers than CPUs, on purpose
@pytest.mark.parametrize("workers", [0, 3])
def test_broken_files_are_counted_over_all_workers_passes_and_splits(
    folder: Path, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    for i in range(6):
        (folder / f"broken{i}.png").write_bytes(b"no picture")
    data = streamed(folder, workers, max_broken=6 / 16)
    for _ in range(2):
        batches = [*data.train_dataloader(), *data.train_squares(), *data.squares("val")]
        assert {tuple(batch.shape[2:]) for batch in batches} == {(24, 24), (32, 32)}
    assert len(data.broken.found) == 6
    err = capfd.readouterr().err.splitlines()
    assert sorted(line.split(": ")[0] for line in err) == [
        f"skipped {folder}/broken{i}.png" for i in range(6)
    ]

    data = streamed(folder, workers, max_broken=5 / 16)
    with pytest.raises(
        ValueError, match=r"^6 of 16 photographs are broken, more than data\.max_broken=0\.3125"
    ):
        list(data.squares("train")), list(data.squares("val"))
    assert len(capfd.readouterr().err.splitlines()) == 6


def test_when_all_streamed_photographs_are_broken_the_first_ones_end_it(tmp_path: Path) -> None:
    for i in range(200):
        (tmp_path / f"{i}.png").write_bytes(b"no picture")
    photos = find_photos(str(tmp_path))
    order = EpochOrder(200, 4)
    with pytest.raises(ValueError, match="3 of 200 photographs are broken"):
        list(StreamedBatches(photos, order, 32, 24, BrokenFiles(0.01, 200), workers=0))
    with pytest.raises(ValueError, match="none of the 200 photographs could be read"):
        list(StreamedBatches(photos, order, 32, 24, BrokenFiles(1.0, 200), workers=0))


def test_memory_is_given_to_validation_first(folder: Path) -> None:
    def held(memory_gb: float) -> list[str]:
        data = PhotoData(str(folder), val_share=0.2, image_size=32, memory_gb=memory_gb, workers=0)
        data.setup()
        return list(data.held)

    photo = 32 * 32 * 4 / 2**30
    assert held(10.5 * photo) == ["val", "train"]
    assert held(9.5 * photo) == ["val"]
    assert held(1.5 * photo) == []


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_streamed_and_held_windows_are_the_same(folder: Path) -> None:
    """Whichever and how many processes decode."""
    in_memory = PhotoData(str(folder), val_share=0.2, image_size=32, window=24, batch_size=4)
    in_memory.setup()
    for workers in (0, 2):
        data = streamed(folder, workers, max_broken=0.01)
        for ours, theirs in (
            (data.train_dataloader(), in_memory.train_dataloader()),
            (data.train_squares(), in_memory.train_squares()),
            (data.squares("val"), in_memory.squares("val")),
        ):
            assert (torch.cat(list(ours)) == torch.cat(list(theirs))).all()
    assert in_memory.fingerprint() != data.fingerprint()


def test_workers_are_as_many_as_cpus_that_may_be_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5}, raising=False)
    assert PhotoData(str(folder)).workers == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert PhotoData(str(folder)).workers == 64


def test_fingerprint_follows_the_pixels(folder: Path, tmp_path: Path) -> None:
    def fingerprint(root: Path) -> str:
        data = PhotoData(str(root), val_share=0.2, image_size=32)
        data.setup()
        return data.fingerprint()

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert fingerprint(folder) == fingerprint(copy)
    for photo in find_splits(str(copy), val_share=0.2).train[:1]:
        save_photo(photo.path, 99)
    assert fingerprint(folder) != fingerprint(copy)
