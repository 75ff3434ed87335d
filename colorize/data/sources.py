"""Which photographs there are: folders, list files and tar shards, and how they are split."""

import glob
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from colorize.images import SUFFIXES as SUFFIXES_OF_FORMATS

SUFFIXES = frozenset(suffix for suffixes in SUFFIXES_OF_FORMATS.values() for suffix in suffixes)

SPLIT_NAMES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test",)}


@dataclass(frozen=True)
class Photo:
    """A photograph on disk: a file of its own (offset 0), or a member of an uncompressed tar shard."""

    path: Path
    name: str
    size: int
    offset: int = 0

    def read(self) -> bytes:
        """The encoded file."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            return file.read(self.size)

    def __str__(self) -> str:
        return f"{self.path}:{self.name}" if self.path.suffix == ".tar" else str(self.path)


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
) -> Splits:
    """Find the photographs of `root` and split them.

    A root that has a folder train/ is taken as split already; its val/ and test/ are used where they exist.
    Without validation photographs from there or from `val_root`, a share of the training ones is set aside,
    drawn by `seed`.

    Args:
        root: one or several of: a folder (searched recursively), a .txt list of paths (relative ones from the
            list's own folder), .tar shards (glob and {a..b}, {a,b} patterns).
        val_root: the same, for validation.
        val_share: share of the photographs set aside, at least one; unused where there are validation ones.
        seed: of the draw.

    Raises:
        ValueError: if a root does not exist or holds no photograph, or none would be left to train on.
    """
    if not 0 < val_share < 1:
        raise ValueError(f"data.val_share must be between 0 and 1, got {val_share}")
    train: list[Photo] = []
    val: list[Photo] = []
    test: list[Photo] = []
    for one in _as_list(root):
        folders = {split: _split_folder(Path(one), names) for split, names in SPLIT_NAMES.items()}
        if folders["train"] is None:
            train += find_photos(one)
            continue
        train += find_photos(str(folders["train"]))
        val += find_photos(str(folders["val"])) if folders["val"] else []
        test += find_photos(str(folders["test"])) if folders["test"] else []
    if val_root is not None:
        val = find_photos(val_root)
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


def find_photos(root: str | Sequence[str]) -> list[Photo]:
    """All photographs of one or several roots (see `find_splits`), in a fixed order.

    Raises:
        ValueError: if a root does not exist or holds no photograph.
    """
    photos: list[Photo] = []
    for one in _as_list(root):
        path = Path(one).expanduser()
        if path.is_dir():
            found = _in_folder(path)
        elif str(one).endswith(".tar") or any(c in str(one) for c in "{*?["):
            found = [photo for shard in expand_pattern(str(path)) for photo in _in_shard(shard)]
        elif path.suffix == ".txt" and path.is_file():
            found = _in_list(path)
        elif path.is_file():
            raise ValueError(f"{path} is neither a folder, a .txt list nor a .tar shard of photographs")
        else:
            raise ValueError(f"there is no {path}; data.root takes a folder, a .txt list or .tar shards")
        if not found:
            raise ValueError(f"found no photograph in {one}; looked for {', '.join(sorted(SUFFIXES))}")
        photos += found
    return photos


def expand_pattern(pattern: str) -> list[Path]:
    """The existing files of a pattern with {000..003}, {a,b}, * and ?, sorted within each brace alternative.

    Raises:
        ValueError: if an alternative matches no file.
    """
    brace = re.search(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}", pattern)
    if brace:
        first, last, names = brace.groups()
        width = len(first) if first else 0
        alternatives = (
            names.split(",") if names else [f"{i:0{width}d}" for i in range(int(first), int(last) + 1)]
        )
        head, tail = pattern[: brace.start()], pattern[brace.end() :]
        return [path for name in alternatives for path in expand_pattern(head + name + tail)]
    if Path(pattern).is_file():
        return [Path(pattern)]
    matches = sorted(glob.glob(pattern, recursive=True))
    if not matches:
        raise ValueError(f"no file matches {pattern}")
    return [Path(match) for match in matches]


def _in_folder(folder: Path) -> list[Photo]:
    return [
        Photo(path, path.relative_to(folder).as_posix(), path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]


def _in_list(list_file: Path) -> list[Photo]:
    photos = []
    for number, line in enumerate(list_file.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        path = list_file.parent / Path(line.strip()).expanduser()
        if not path.is_file():
            raise ValueError(f"{list_file} line {number}: there is no {path}")
        photos.append(Photo(path, line.strip(), path.stat().st_size))
    return photos


def _in_shard(shard: Path) -> list[Photo]:
    try:
        with tarfile.open(shard, "r:") as tar:
            return [
                Photo(shard, member.name, member.size, member.offset_data)
                for member in tar
                if member.isfile() and Path(member.name).suffix.lower() in SUFFIXES
            ]
    except (tarfile.TarError, OSError) as error:
        raise ValueError(f"{shard} is no readable, uncompressed .tar shard: {error}") from error


def _split_folder(root: Path, names: Sequence[str]) -> Path | None:
    root = root.expanduser()
    return next((root / name for name in names if (root / name).is_dir()), None)


def _as_list(root: str | Sequence[str]) -> list[str]:
    roots = [root] if isinstance(root, str) else [str(one) for one in root]
    if not roots or not all(roots):
        raise ValueError("data.root is empty; it takes a folder, a .txt list, .tar shards or a list of those")
    return roots
