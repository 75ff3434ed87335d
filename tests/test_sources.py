"""Which photographs are trained on: no results of colorize.py, nothing hidden, none twice."""

import os
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

from colorize.data import PhotoData
from colorize.data.sources import find_photos, find_splits
from colorize.training import _write_names
from tests.photos import save_photo


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "c.png", "below/d.png"):
        save_photo(tmp_path / "album" / name, len(name))
    return tmp_path / "album"


def names(album: Path | str) -> list[str]:
    return [photo.name for photo in find_photos(str(album))]


def test_results_of_colorize_are_no_photographs(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a-color.png", "b-color.jpg", "below/d-color.png", "rose-color.png", "-color.png"):
        save_photo(album / name, 1)
    assert names(album) == ["-color.png", "a.png", "b.png", "below/d.png", "c.png", "rose-color.png"]
    (line,) = capsys.readouterr().err.splitlines()
    assert "left out 3 results of colorize.py" in line
    assert "a-color.png" not in names(f"{album}/*.png")
    assert names(f"{album}/a-color.png") == ["a-color.png"], "given by its own name"
    with tarfile.open(album / "shard.tar", "w") as tar:
        for name in ("a.png", "a-color.png"):
            tar.add(album / name, arcname=name)
    assert names(album / "shard.tar") == ["a.png"]


def test_hidden_files_and_folders_are_left_out(album: Path, tmp_path: Path) -> None:
    save_photo(album / ".thumbnails" / "a.png", 1)
    save_photo(album / ".e.png", 1)
    assert names(album) == ["a.png", "b.png", "below/d.png", "c.png"]
    shutil.copytree(album, tmp_path / ".hidden" / "album")
    assert len(names(tmp_path / ".hidden" / "album")) == 4, "what is given may be hidden"


def test_a_photograph_given_twice_counts_once(album: Path) -> None:
    os.symlink(album / "a.png", album / "link.png")
    roots = [str(album), f"{album}/*.png", f"{album}/../album/below"]
    assert len(find_photos(roots)) == 4
    splits = find_splits(roots, val_share=0.25)
    assert (len(splits.train), len(splits.val)) == (3, 1)


def test_validation_photographs_are_not_trained_on(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    splits = find_splits(str(album), val_root=str(album / "below"))
    assert [photo.name for photo in splits.train] == ["a.png", "b.png", "c.png"]
    assert [photo.name for photo in splits.val] == ["d.png"]
    (line,) = capsys.readouterr().err.splitlines()
    assert "left out 1 training photographs" in line
    with pytest.raises(ValueError, match="none is left to train on"):
        find_splits(str(album / "below"), val_root=str(album))


def test_messages_name_the_setting_that_is_wrong(album: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere; data\.val_root takes"):
        find_splits(str(album), val_root="nowhere")
    with pytest.raises(ValueError, match=r"data\.val_root is empty"):
        find_splits(str(album), val_root="")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file systems take Unicode alone")
def test_a_list_names_files_by_their_bytes(album: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    (album / "a.png").rename(album / name)
    data = PhotoData(str(album), val_root=str(album / name), cache="none", image_size=16, window=16)
    _write_names(data, tmp_path / "val.txt")
    assert (tmp_path / "val.txt").read_bytes() == os.fsencode(album / name) + b"\n"
    assert [photo.path for photo in find_photos(str(tmp_path / "val.txt"))] == [album / name]
