"""python -m scripts.pack: shards that WebDataset and training read, the same at every run, restartable."""

import errno
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from PIL import Image

from colorize.data import packing
from colorize.data.decoding import BrokenFiles
from colorize.data.packing import Packing, pack
from colorize.data.sources import find_photos, find_splits
from scripts import arguments
from tests.photos import save_photo

ROOT = Path(__file__).resolve().parent.parent


def packed(
    folder: Path, out: Path, max_broken: float = 0.0, workers: int = 0, **settings: object
) -> list[Path]:
    photos = find_photos(str(folder))
    return pack(photos, out, Packing(**settings), BrokenFiles(max_broken, len(photos)), workers)


def contents(shards: list[Path]) -> dict[str, bytes]:
    return {photo.name: photo.read() for shard in shards for photo in find_photos(str(shard))}


def script(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["pack", *words])
    arguments.run(importlib.import_module("scripts.pack").main)


def test_the_command_writes_shards_that_can_be_trained_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script(monkeypatch, str(folder), f"{tmp_path}/new/set", "photographs=4", "workers=0")
    said = capsys.readouterr().out
    pattern = f"{tmp_path}/new/set-{{000..002}}.tar"
    assert f"10 photographs, 0 broken left out:  {pattern}" in said
    assert f"python train.py data.root='{pattern}'" in said
    splits = find_splits(pattern)
    files = {photo.name.replace("3.png", "3.PNG"): photo.read() for photo in splits.train + splits.val}
    assert files == {photo.name: photo.read() for photo in find_photos(str(folder))}, "byte by byte"
    for words, message in (
        ((str(folder),), "needs out"),
        ((str(folder), "out", "more"), "takes data=, out=, photographs="),
        ((str(folder), "out", "quality=0"), "quality must be a whole number from 1 to 100, got 0"),
        ((f"{folder}/nowhere", "out"), "there is no"),
        ((str(folder), "out/"), "OUT is how the names of shards begin, such as out/photos; got out/"),
    ):
        with pytest.raises(SystemExit):
            script(monkeypatch, *words)
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # WebDataset leaves them to the collector
def test_webdataset_reads_the_same_samples(folder: Path, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    save_photo(folder / "sea" / "a.b.png", 77)
    Image.new("RGB", (30, 30), "red").save(folder / "sea" / "1.jpg")  # beside 1.png
    shards = packed(folder, tmp_path / "set", photographs=5)
    samples = list(webdataset.WebDataset([str(shard) for shard in shards], shardshuffle=False))
    gc.collect()
    by_key = {sample["__key__"]: sample for sample in samples}
    assert len(samples) == len(by_key) == 12
    assert by_key["wood/4"]["png"] == (folder / "wood" / "4.png").read_bytes()
    assert by_key["sea/a_b"]["png"] == (folder / "sea" / "a.b.png").read_bytes()
    assert by_key["sea/1"]["jpg"] == (folder / "sea" / "1.jpg").read_bytes()
    assert by_key["sea/1-2"]["png"] == (folder / "sea" / "1.png").read_bytes()


def test_shards_are_the_same_at_every_run_and_shuffled_by_the_seed(folder: Path, tmp_path: Path) -> None:
    one = packed(folder, tmp_path / "a", photographs=4)
    other = packed(folder, tmp_path / "b", photographs=4, workers=2)
    assert [shard.read_bytes() for shard in one] == [shard.read_bytes() for shard in other]
    third = packed(folder, tmp_path / "c", photographs=4, seed=1)
    assert contents(third) == contents(one)
    assert list(contents(third)) != list(contents(one))
    in_order = packed(folder, tmp_path / "d", photographs=4, seed=None)
    assert [name.lower() for name in contents(in_order)] == [p.name.lower() for p in find_photos(str(folder))]


def test_larger_photographs_are_scaled_and_smaller_ones_kept(folder: Path, tmp_path: Path) -> None:
    save_photo(folder / "small.png", 1, (20, 24))
    shards = packed(folder, tmp_path / "set", image_size=40, quality=90)
    with tarfile.open(shards[0]) as tar:
        pictures = {member.name: Image.open(tar.extractfile(member)) for member in tar}  # type: ignore[arg-type]
        assert pictures["small.png"].size == (24, 20)
        assert pictures["wood/0.jpg"].size == (40, 50)
        assert pictures["wood/0.jpg"].layer == [(1, 1, 1, 0), (2, 1, 1, 1), (3, 1, 1, 1)], (
            "colour at full size"
        )
    assert len(pictures) == 11


def test_broken_files_are_named_left_out_and_counted_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "sea" / "bad.png").write_bytes(b"no picture")
    whole = (folder / "wood" / "0.png").read_bytes()
    (folder / "wood" / "cut.png").write_bytes(whole[: len(whole) // 2])
    shards = packed(folder, tmp_path / "set", max_broken=0.2, photographs=5)
    first = capsys.readouterr().err
    assert sorted(line.split(": ")[0] for line in first.splitlines()) == [
        f"skipped {folder}/sea/bad.png", f"skipped {folder}/wood/cut.png"
    ]  # fmt: skip
    assert len(contents(shards)) == 10
    packed(folder, tmp_path / "set", max_broken=0.2, photographs=5)
    assert capsys.readouterr().err == first, "of shards that were finished before, too"
    with pytest.raises(ValueError, match="2 of 12 photographs are broken"):
        packed(folder, tmp_path / "other", max_broken=0.1, photographs=5)


def test_finished_shards_are_kept_and_half_written_ones_are_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [shard.read_bytes() for shard in packed(folder, tmp_path / "whole", photographs=3)]
    shards = packed(folder, tmp_path / "set", photographs=3)
    report = json.loads((tmp_path / "set.json").read_text())
    shards[1].write_bytes(whole[1][: len(whole[1]) // 2])  # what a full disk leaves
    del report["shards"][shards[2].name]  # written, but the run ended before it said so
    (tmp_path / "set.json").write_text(json.dumps(report))
    (tmp_path / ".set-003-0000.part").write_bytes(b"half")
    made = []
    encode = packing._encoded

    def noted(photo: object, settings: object) -> object:
        made.append(photo)
        return encode(photo, settings)  # type: ignore[arg-type]

    monkeypatch.setattr(packing, "_encoded", noted)
    packed(folder, tmp_path / "set", photographs=3)
    assert len(made) == 6, "shards 1 and 2"
    assert [shard.read_bytes() for shard in shards] == whole
    assert list(tmp_path.glob(".*")) == []


def test_a_killed_run_goes_on(folder: Path, tmp_path: Path) -> None:
    for i in range(30):
        save_photo(folder / "more" / f"{i}.png", i, (300, 300))
    whole = [shard.read_bytes() for shard in packed(folder, tmp_path / "whole", photographs=4)]
    words = [str(folder), f"{tmp_path}/set", "photographs=4", "workers=1"]
    process = subprocess.Popen([sys.executable, "-m", "scripts.pack", *words], cwd=ROOT)
    while not (tmp_path / "set-001.tar").exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    shards = packed(folder, tmp_path / "set", photographs=4)
    assert [shard.read_bytes() for shard in shards] == whole


def test_a_full_disk_is_one_line(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(packing, "_encoded", full)
        with pytest.raises(
            ValueError, match=r"^\S*set-000\.tar: cannot be written: No space left on device$"
        ):
            packed(folder, tmp_path / "set")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "set.json"]
    packed(folder, tmp_path / "set")


def test_shards_of_others_are_never_replaced(folder: Path, tmp_path: Path) -> None:
    packed(folder, tmp_path / "set", photographs=5)
    with pytest.raises(ValueError, match=r"set\.json is about shards of other photographs or settings"):
        packed(folder, tmp_path / "set", photographs=6)
    (tmp_path / "set.json").write_text("{")
    with pytest.raises(ValueError, match=r"set\.json is damaged"):
        packed(folder, tmp_path / "set", photographs=5)
    (tmp_path / "set.json").unlink()
    with pytest.raises(ValueError, match=r"there is set-000\.tar already, and no .*set\.json about it"):
        packed(folder, tmp_path / "set", photographs=5)
