"""What data.root may be: folders, lists, shards, patterns; and how photographs are split."""

from pathlib import Path

import pytest

from colorize.data.sources import expand_pattern, find_photos, find_splits
from tests.photos import save_photo


def test_a_folder_is_searched_recursively_in_a_fixed_order(folder: Path) -> None:
    names = [photo.name for photo in find_photos(str(folder))]
    assert names == sorted(names)
    assert len(names) == 10


def test_shards_hold_the_same_photographs_by_brace_and_glob(folder: Path, shards: Path) -> None:
    by_brace = find_photos(f"{shards}/set-{{000..001}}.tar")
    by_glob = find_photos(f"{shards}/set-*.tar")
    assert by_brace == by_glob
    of_folder = {Path(p.name).name: p.read() for p in find_photos(str(folder))}
    assert {p.name: p.read() for p in by_brace} == of_folder
    assert [p.name for p in expand_pattern(f"{shards}/set-{{000,001}}.tar")] == ["set-000.tar", "set-001.tar"]


def test_names_with_brackets_and_braces_are_taken_literally_where_they_exist(tmp_path: Path) -> None:
    folder = tmp_path / "my[photos] {a,b}"
    for i in range(3):
        save_photo(folder / f"{i}.png", i)
    assert len(find_photos(str(folder))) == 3
    assert len(find_photos(f"{folder}/*.png")) == 3
    assert [p.name for p in find_photos(f"{folder}/{{2..1}}.png")] == ["2.png", "1.png"]
    with pytest.raises(ValueError, match=r"no file matches .*/x\*\.png"):
        find_photos(f"{folder}/x*.png")


def test_ranges_count_as_in_bash(tmp_path: Path) -> None:
    for name in ("8", "9", "10", "08", "09", "008", "009", "010"):
        (tmp_path / name).touch()
    for text, names in {
        "{8..10}": ["8", "9", "10"],
        "{10..8}": ["10", "9", "8"],
        "{08..10}": ["08", "09", "10"],
        "{010..8}": ["010", "009", "008"],
    }.items():
        assert [path.name for path in expand_pattern(f"{tmp_path}/{text}")] == names


def test_photographs_beside_a_folder_named_train_are_not_left_out_in_silence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    find_splits(str(folder))
    (folder / "test").mkdir()
    save_photo(folder / "test" / "0.png", 0)
    assert capsys.readouterr().err == ""
    for i in range(3):
        save_photo(folder / "train" / f"{i}.png", i)
    assert sum(len(photos) for photos in vars(find_splits(str(folder))).values()) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        "is taken as split into train/, test/; 10 photographs beside them, such as in sea, are not used"
        in line
    )
    assert f"data.root=[{folder}/train,{folder}/sea,...]" in line
    assert "data.val_root" in line


def test_a_list_file_names_paths_from_its_own_folder(folder: Path) -> None:
    listing = folder / "list.txt"
    listing.write_text("# two of them\nwood/0.png\n\nsea/1.png\n")
    assert [p.path.name for p in find_photos(str(listing))] == ["0.png", "1.png"]
    listing.write_text("wood/0.png\nmissing.png\n")
    with pytest.raises(ValueError, match=r"line 2: there is no .*missing.png"):
        find_photos(str(listing))


def test_split_is_seeded_disjoint_and_complete(folder: Path) -> None:
    one, again, other = (find_splits(str(folder), val_share=0.3, seed=s) for s in (1, 1, 2))
    assert one == again
    assert one != other
    assert (len(one.train), len(one.val), len(one.test)) == (7, 3, 0)
    assert sorted(p.name for p in one.train + one.val) == [p.name for p in find_photos(str(folder))]


def test_split_folders_are_used_and_test_is_never_trained_on(sample: Path) -> None:
    splits = find_splits(str(sample))
    assert (len(splits.train), len(splits.val), len(splits.test)) == (56, 13, 15)
    assert all(p.path.parent.name == "test" for p in splits.test)


def test_several_roots_and_a_root_for_validation(folder: Path, shards: Path, sample: Path) -> None:
    splits = find_splits([str(folder), f"{shards}/set-000.tar"], val_root=str(sample / "val"))
    assert (len(splits.train), len(splits.val)) == (16, 13)


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("nowhere", "there is no .*nowhere; data.root takes a folder"),
        ("empty", "found no photograph in .*empty; looked for"),
        ("set-{000..009}.tar", "no file matches .*set-000.tar"),
        ("broken.tar", "no readable, uncompressed .tar shard"),
        ("notes.md", "neither a folder, a .txt list, a .tar shard nor a photograph"),
    ],
)
def test_missing_and_empty_roots_are_clear_errors(tmp_path: Path, root: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.tar").write_bytes(b"x" * 2000)
    (tmp_path / "notes.md").write_text("#")
    with pytest.raises(ValueError, match=message):
        find_splits(str(tmp_path / root))


def test_hidden_files_and_empty_roots(folder: Path) -> None:
    (folder / "._0.png").write_bytes(b"what some systems leave beside a picture")
    assert len(find_photos(str(folder))) == 10
    for root in ("", [], [str(folder), ""]):
        with pytest.raises(ValueError, match=r"data\.root is empty"):
            find_splits(root)
