"""Decoded photographs kept on disk: the same as decoding them, and made anew where damaged."""

import json
import math
import os
from pathlib import Path

import pytest
import safetensors
import torch
from filelock import FileLock

from colorize.data import PhotoData, decoding, kept
from colorize.data.decoding import BrokenFiles, decode, decode_all
from colorize.data.sources import find_photos
from tests.photos import save_photo


def data_of(folder: Path, cache_dir: Path | None, **settings: object) -> PhotoData:
    data = PhotoData(
        str(folder), val_share=0.2, image_size=32, window=24, batch_size=4, cache_dir=cache_dir, **settings
    )
    data.setup()
    return data


def everything(data: PhotoData) -> torch.Tensor:
    batches = [
        *data.train_dataloader(),
        *data.train_dataloader(),
        *data.train_squares(),
        *data.squares("val"),
    ]
    return torch.cat([batch.flatten() for batch in batches])


def copies(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").glob("*.safetensors"))


def test_batches_are_the_same_wherever_photographs_are_held(folder: Path, tmp_path: Path) -> None:
    expected = everything(data_of(folder, None, cache="none", workers=0))
    for cache in ("auto", "ram", "device"):
        assert torch.equal(everything(data_of(folder, None, cache=cache)), expected), cache
    with pytest.MonkeyPatch.context() as patch:
        assert torch.equal(everything(data_of(folder, tmp_path / "cache")), expected), "just written"
        patch.setattr(kept, "decode_all", lambda *_: pytest.fail("photographs were decoded"))
        mapped = data_of(folder, tmp_path / "cache")
        assert torch.equal(everything(mapped), expected), "by the next run"
        assert mapped.fingerprint() == data_of(folder, tmp_path / "cache").fingerprint()
        data_of(folder, tmp_path / "cache", seed=3)  # another split of the same photographs
    assert mapped.fingerprint() == data_of(folder, None).fingerprint()
    assert len(copies(tmp_path)) == 1


def test_the_copy_can_be_switched_off_and_memory_limits_it(folder: Path, tmp_path: Path) -> None:
    data_of(folder, tmp_path / "cache", disk_copy=False)
    data_of(folder, tmp_path / "cache", cache="none")
    data_of(folder, tmp_path / "cache", memory_gb=0)
    assert copies(tmp_path) == []
    assert data_of(folder, tmp_path / "cache", cache="ram", memory_gb=0).held.keys() == {"val", "train"}


def test_other_photographs_sizes_and_times_are_other_copies(folder: Path, tmp_path: Path) -> None:
    photos = find_photos(str(folder))
    keys = {kept.key(photos, 32), kept.key(photos, 33), kept.key(photos[:-1], 32), kept.key(photos[::-1], 32)}
    assert kept.key(find_photos(str(folder)), 32) in keys
    os.utime(photos[0].path, ns=(1, 1))
    keys.add(kept.key(photos, 32))
    save_photo(photos[1].path, 99, (81, 64))
    keys.add(kept.key(find_photos(str(folder)), 32))
    assert len(keys) == 6


@pytest.mark.parametrize("damage", ["half", "empty", "pixel", "size", "broken", "header", "text"])
def test_a_damaged_copy_is_made_anew(folder: Path, tmp_path: Path, damage: str) -> None:
    (folder / "a.png").write_bytes(b"no picture")
    expected = everything(data_of(folder, tmp_path / "cache"))
    (path,) = copies(tmp_path)
    whole = path.read_bytes()
    header = json.loads(whole[8 : kept.HEADER])

    def flipped(at: int) -> bytes:
        return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]

    def start(name: str) -> int:
        return int(kept.HEADER + header[name]["data_offsets"][0])

    path.write_bytes(
        {
            "half": whole[: len(whole) // 2],
            "empty": b"",
            "pixel": flipped(kept.HEADER + 1000),
            "size": flipped(start("sizes")),
            "broken": flipped(start("broken") + 3),
            "header": flipped(10),
            "text": b"not a copy" * 1000,
        }[damage]
    )
    assert torch.equal(everything(data_of(folder, tmp_path / "cache")), expected)
    assert path.read_bytes() == whole


def test_a_run_killed_while_it_wrote_leaves_nothing_that_is_trusted(folder: Path, tmp_path: Path) -> None:
    def killed(*_: object) -> object:
        yield from list(decode_all(find_photos(str(folder)), 32, BrokenFiles(0, 10)))[:5]
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "decode_all", killed)
        with pytest.raises(KeyboardInterrupt):
            data_of(folder, tmp_path / "cache")
    assert copies(tmp_path) == []
    assert torch.equal(everything(data_of(folder, tmp_path / "cache")), everything(data_of(folder, None)))


def test_broken_files_are_named_and_counted_from_the_copy_too(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("sea/bad.png", "wood/cut.png"):
        (folder / name).write_bytes(b"no picture")
    assert len(data_of(folder, tmp_path / "cache", max_broken=0.2).broken.found) == 2
    first = capsys.readouterr().err
    assert len(first.splitlines()) == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "decode_all", lambda *_: pytest.fail("photographs were decoded"))
        again = data_of(folder, tmp_path / "cache", max_broken=0.2)
        assert capsys.readouterr().err == first
        assert len(again.broken.found) == 2
        assert sum(len(held) for held in again.held.values()) == 10
        with pytest.raises(ValueError, match=r"2 of 12 photographs are broken, more than data\.max_broken"):
            data_of(folder, tmp_path / "cache", max_broken=0.1)


def test_copies_used_longest_ago_make_room_but_for_one_in_use(folder: Path, tmp_path: Path) -> None:
    cache, photos = tmp_path / "cache", find_photos(str(folder))

    def hold(first: int, most_bytes: float = math.inf) -> Path:
        kept.hold(photos[first:], 32, BrokenFiles(0, 10), cache, most_bytes)
        return cache / f"photographs-{kept.key(photos[first:], 32)}.safetensors"

    paths = [hold(first) for first in range(4)]
    left_by_killed = cache / "photographs-0.part"
    left_by_killed.write_bytes(b"0" * 1000)
    for seconds, path in enumerate([*paths, left_by_killed]):
        os.utime(path, (seconds, seconds))
    with FileLock(paths[1].with_suffix(".lock")):  # another run reads it
        hold(0, most_bytes=sum(path.stat().st_size for path in paths[:2]))
    assert copies(tmp_path) == sorted(paths[:2])
    assert not left_by_killed.exists()
    hold(2, most_bytes=0)
    assert copies(tmp_path) == [paths[2]]


def test_a_photograph_that_vanishes_is_a_broken_one(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = find_photos(str(folder))
    photos[3].path.unlink()
    assert len(kept.hold(photos, 32, BrokenFiles(0, 10), tmp_path / "cache")) == 9
    assert capsys.readouterr().err == f"skipped {photos[3]}: cannot be read: No such file or directory\n"


def test_a_folder_that_takes_no_copy_is_one_clear_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(
        ValueError, match=r"cannot be kept here: .*; choose another cache_dir or data\.disk_copy"
    ):
        data_of(folder, tmp_path / "cache")


def test_the_copy_is_a_safetensors_file_and_is_mapped_not_read(folder: Path, tmp_path: Path) -> None:
    photos = find_photos(str(folder))
    held = kept.hold(photos, 32, BrokenFiles(0, 10), tmp_path / "cache")
    (path,) = copies(tmp_path)
    with safetensors.safe_open(path, framework="numpy") as file:
        pixels = torch.from_numpy(file.get_tensor("pixels"))
    assert torch.equal(pixels, held.pixels)
    assert torch.equal(pixels[: 3 * 40 * 32].view(3, 40, 32), decode(photos[0], 32))
    if Path("/proc/self/maps").exists():
        assert str(path) in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("processes", [False, True])
def test_threads_and_processes_decode_the_same(
    folder: Path, processes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "PROCESSES_FROM", 1 if processes else 10**6)
    monkeypatch.setattr(decoding, "available_cpus", lambda: 2)
    (folder / "sea" / "bad.png").write_bytes(b"no picture")
    photos = find_photos(str(folder)) * 7
    broken = BrokenFiles(0.2, len(photos))
    decoded = list(decode_all(photos, 24, broken))
    assert [photo.name for photo in broken.found] == ["sea/bad.png"]
    whole = [decode(photo, 24) for photo in photos if photo not in broken.found]
    assert all(torch.equal(one, other) for one, other in zip(decoded, whole, strict=True))
