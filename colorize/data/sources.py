"""Which photographs there are: folders, list files and tar shards, and how they are split."""

import glob
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from colorize.data.decoding import with_progress
from colorize.data.photo import SUFFIXES, Photo
from colorize.data.shards import photos_in_shard
from colorize.ranges import check_value
from colorize.targets import RESULT

SPLIT_NAMES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test",)}


@dataclass(frozen=True)
class Splits:
    """Photographs to train on, to choose by, and, where the set has some, to test on at the very end."""

    train: list[Photo]
    val: list[Photo]
    test: list[Photo]


def find_splits(
    root: str | Sequence[str],
    val_root: str | Sequence[str] | None = None,
    val_share: float = 0.05,
    seed: int = 0,
    cache_dir: Path | None = None,
) -> Splits:
    """Find the photographs of `root` and split them.

    A root that has a folder train/ is taken as split already; its val/ and test/ are used where they exist.
    Without validation photographs from there or from `val_root`, a share of the training ones is set aside,
    drawn by `seed`. What is for validation or testing is left out of training.

    Args:
        root: one or several of: a folder (searched recursively), a .txt list of paths (relative ones from the
            list's own folder), .tar shards; or a pattern of those or of photographs, see `expand_pattern`.
        val_root: the same, for validation.
        val_share: share of the photographs set aside, at least one; unused where there are validation ones.
        seed: of the draw.
        cache_dir: where the indexes of shards are kept, see `shards.photos_in_shard`.

    Raises:
        ValueError: if a root does not exist or holds no photograph, or none would be left to train on.
    """
    check_value("data.val_share", val_share)
    train: list[Photo] = []
    val: list[Photo] = []
    test: list[Photo] = []
    for one in _as_list(root):
        folders = {split: _split_folder(Path(one), names) for split, names in SPLIT_NAMES.items()}
        if folders["train"] is None:
            train += find_photos(one, cache_dir=cache_dir)
            continue
        _name_neighbours(Path(one).expanduser(), [folder for folder in folders.values() if folder])
        train += find_photos(str(folders["train"]))
        val += find_photos(str(folders["val"])) if folders["val"] else []
        test += find_photos(str(folders["test"])) if folders["test"] else []
    if val_root is not None:
        val = find_photos(val_root, "data.val_root", cache_dir)
    train = _left_to_train_on(_once(train), [*val, *test])
    if not val:
        if len(train) < 2:
            raise ValueError(
                f"found only {len(train)} photograph in {root}; training and validation need two"
            )
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed)).tolist()
        held_out = set(order[: max(1, round(len(train) * val_share))])
        val = [photo for i, photo in enumerate(train) if i in held_out]
        train = [photo for i, photo in enumerate(train) if i not in held_out]
    return Splits(train, val, test)


def find_photos(
    root: str | Sequence[str], setting: str = "data.root", cache_dir: Path | None = None
) -> list[Photo]:
    """All photographs of one or several roots (see `find_splits`), each once, in a fixed order.

    Results of colorize.py, NAME-color beside NAME, are no photographs: a line on stderr counts them.

    Args:
        root: one or several.
        setting: what messages call it.
        cache_dir: where the indexes of shards are kept, see `shards.photos_in_shard`.

    Raises:
        ValueError: if a root does not exist or holds no photograph.
    """
    photos: list[Photo] = []
    for one in _as_list(root, setting):
        path = Path(one).expanduser()
        is_pattern = not path.exists() and any(c in str(path) for c in "{*?[")
        paths = expand_pattern(str(path)) if is_pattern else [path]
        found = [
            photo
            for each in with_progress(paths, "Finding photographs", len(paths))
            for photo in _in(each, setting, cache_dir)
        ]
        if not found:
            raise ValueError(f"found no photograph in {one}; looked for {', '.join(sorted(SUFFIXES))}")
        photos += found
    return _without_results(_once(photos))


def _identities(photos: Sequence[Photo]) -> list[tuple[str, int]]:
    """Equal for the same photograph, however it is reached."""
    real = {path: os.path.realpath(path) for path in {photo.path for photo in photos}}
    return [(real[photo.path], photo.offset) for photo in photos]


def _once(photos: Sequence[Photo]) -> list[Photo]:
    first: dict[tuple[str, int], Photo] = {}
    for identity, photo in zip(_identities(photos), photos, strict=True):
        first.setdefault(identity, photo)
    return list(first.values())


def _without_results(photos: list[Photo]) -> list[Photo]:
    """Leave out each NAME-color of which there is a NAME too, whatever their suffixes."""
    if not any(RESULT in photo.name for photo in photos):  # what follows takes seconds for a million
        return photos
    stems = [(p.path / p.name if p.path.suffix == ".tar" else p.path).with_suffix("") for p in photos]
    all_stems = set(stems)
    kept = [
        photo
        for photo, stem in zip(photos, stems, strict=True)
        if stem.name == RESULT
        or not stem.name.endswith(RESULT)
        or stem.with_name(stem.name.removesuffix(RESULT)) not in all_stems
    ]
    if len(kept) < len(photos):
        count = len(photos) - len(kept)
        print(
            f"warning: left out {count} results of colorize.py, names that end in {RESULT}", file=sys.stderr
        )
    return kept


def _left_to_train_on(train: list[Photo], held_out: list[Photo]) -> list[Photo]:
    others = set(_identities(held_out))
    left = [
        photo for identity, photo in zip(_identities(train), train, strict=True) if identity not in others
    ]
    if not left:
        raise ValueError(
            "all photographs of data.root are for validation or testing; none is left to train on"
        )
    if len(left) < len(train):
        count = len(train) - len(left)
        print(
            f"warning: left out {count} training photographs that are for validation or testing",
            file=sys.stderr,
        )
    return left


def expand_pattern(pattern: str) -> list[Path]:
    """The existing paths of a pattern with {000..003}, {a,b}, * and ?, sorted within each alternative.

    What exists under the very name is taken literally, and so are the folders that a pattern begins with:
    their brackets are part of the name. Ranges count down as well, and keep leading zeros, as in bash.

    Raises:
        ValueError: if an alternative matches nothing.
    """
    path = Path(pattern)
    if path.exists():
        return [path]
    folder = next(parent for parent in path.parents if parent.is_dir())
    rest = str(path.relative_to(folder))
    if brace := re.search(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}", rest):
        first, last, names = brace.groups()
        head, tail = rest[: brace.start()], rest[brace.end() :]
        alternatives = names.split(",") if names else _counted(first, last)
        return [
            match for name in alternatives for match in expand_pattern(str(folder / (head + name + tail)))
        ]
    matches = sorted(glob.glob(rest, root_dir=folder, recursive=True))
    if not matches:
        raise ValueError(f"no file matches {pattern}")
    return [folder / match for match in matches]


def _counted(first: str, last: str) -> list[str]:
    step = 1 if int(first) <= int(last) else -1
    zeros = any(end.startswith("0") and len(end) > 1 for end in (first, last))
    width = max(len(first), len(last)) if zeros else 1
    return [f"{i:0{width}d}" for i in range(int(first), int(last) + step, step)]


def _in(path: Path, setting: str, cache_dir: Path | None) -> list[Photo]:
    if path.is_dir():
        return _in_folder(path)
    if not path.exists():
        raise ValueError(f"there is no {path}; {setting} takes a folder, a .txt list or .tar shards")
    if path.suffix == ".tar":
        return photos_in_shard(path, cache_dir)
    if path.suffix == ".txt":
        return _in_list(path)
    if path.suffix.lower() in SUFFIXES:
        return [Photo(path, path.name, path.stat().st_size)]
    raise ValueError(f"{path} is neither a folder, a .txt list, a .tar shard nor a photograph")


def _in_folder(folder: Path) -> list[Photo]:
    """The photographs in a folder and those below it, but for hidden ones."""
    return [
        Photo(path, path.relative_to(folder).as_posix(), path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    ]


def _in_list(list_file: Path) -> list[Photo]:
    photos = []
    # Of a name that is not UTF-8 the bytes stay as they are, as Python has them in paths.
    text = list_file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        path = list_file.parent / Path(line.strip()).expanduser()
        if not path.is_file():
            raise ValueError(f"{list_file} line {number}: there is no {path}")
        photos.append(Photo(path, line.strip(), path.stat().st_size))
    return photos


def _split_folder(root: Path, names: Sequence[str]) -> Path | None:
    root = root.expanduser()
    return next((root / name for name in names if (root / name).is_dir()), None)


def _name_neighbours(root: Path, folders: Sequence[Path]) -> None:
    """Say how many photographs beside train/, val/ and test/ are not used: train/ may be a class of many."""
    left_out = {
        path.name: len(_in_folder(path)) if path.is_dir() else int(path.suffix.lower() in SUFFIXES)
        for path in sorted(root.iterdir())
        if path not in folders and not path.name.startswith(".")
    }
    if count := sum(left_out.values()):
        first = next(name for name, photographs in left_out.items() if photographs)
        split = ", ".join(f"{folder.name}/" for folder in folders)
        print(
            f"warning: {root} is taken as split into {split}; {count} photographs beside them, such as in "
            f"{first}, are not used: to train on them give every folder, "
            f"data.root=[{folders[0]},{root / first},...], and choose data.val_root",
            file=sys.stderr,
        )


def _as_list(root: str | Sequence[str], setting: str = "data.root") -> list[str]:
    roots = [root] if isinstance(root, str) else [str(one) for one in root]
    if not roots or not all(roots):
        raise ValueError(
            f"{setting} is empty; it takes a folder, a .txt list, .tar shards or a list of those"
        )
    return roots
