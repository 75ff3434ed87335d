"""Photographs -> WebDataset shards: tar files in which a sample's key ends at the first dot of a name."""

import hashlib
import io
import json
import os
import secrets
import tarfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from colorize.data.decoding import BrokenFiles, with_progress
from colorize.data.kept import key
from colorize.data.photo import Photo
from colorize.images import SUFFIXES, read_rgb8, replacing

FORMAT = 1  # to be raised when shards of the same photographs and settings come out otherwise


@dataclass(frozen=True)
class Packing:
    """How photographs become shards.

    Args:
        photographs: in a shard; the last one gets the rest, and broken ones are left out.
        image_size: shorter side to which larger photographs are scaled, in pixels, as JPEG with colour at
            full resolution; None keeps every file as it is.
        quality: of these JPEG files.
        seed: of the order of the photographs over all shards; None keeps that of the folder.

    Raises:
        ValueError: if a setting is out of range.
    """

    photographs: int = 1000
    image_size: int | None = None
    quality: int = 95
    seed: int | None = 0

    def __post_init__(self) -> None:
        limits = {
            "photographs": (1, 10**6),
            "image_size": (1, 8192),
            "quality": (1, 100),
            "seed": (0, 2**32 - 1),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            optional = value is None and name in ("image_size", "seed")
            if not optional and not (type(value) is int and low <= value <= high):
                raise ValueError(f"{name} must be a whole number from {low} to {high}, got {value!r}")


def pack(
    photos: Sequence[Photo], out: Path, packing: Packing, broken: BrokenFiles, workers: int
) -> list[Path]:
    """Write photographs into OUT-000.tar, OUT-001.tar and so on, several shards at a time.

    The same photographs and settings give the same bytes. OUT.json says which shards are finished: those that
    a run before has finished are kept, so that one that was stopped goes on.

    Args:
        photos: which; each one's name without its suffix is the sample's key.
        out: path of the shards without number and suffix.
        packing: how.
        broken: where broken photographs are named and counted, also those of shards that are kept.
        workers: processes.

    Returns:
        the shards' paths.

    Raises:
        ValueError: if there are shards of other photographs or settings at `out`, more photographs are
            broken than `broken` allows, or a shard cannot be written.
    """
    plan = _plan(photos, out, packing)
    report = out.with_name(f"{out.name}.json")
    recipe = hashlib.blake2b(f"{FORMAT} {asdict(packing)} {key(photos)}".encode(), digest_size=16).hexdigest()
    finished = _finished(report, out, recipe)
    out.parent.mkdir(parents=True, exist_ok=True)
    about = {"recipe": recipe, "settings": asdict(packing), "shards": finished}
    _write_report(report, about)  # before the first shard: one without a report would be taken for another's
    for leftover in out.parent.glob(f".{out.name}-*.part"):
        leftover.unlink()
    for name, made in finished.items():
        _count_broken(broken, plan[name], made)
    missing = [name for name in plan if name not in finished]
    # A DataLoader for its processes alone: they end when this one does, however it ends.
    made_shards = DataLoader(
        _Shards(out.parent, [plan[name] for name in missing], missing, packing),
        batch_size=None,
        num_workers=min(workers, len(missing)),
        generator=torch.Generator(),
    )
    for name, made in zip(missing, with_progress(made_shards, "Writing shards", len(missing)), strict=True):
        if "error" in made:
            raise ValueError(made["error"])
        finished[name] = made
        _write_report(report, about)
        _count_broken(broken, plan[name], made)
    return [out.with_name(name) for name in plan]


def _write_report(report: Path, about: dict[str, Any]) -> None:
    with replacing(report) as temporary:
        temporary.write_text(json.dumps(about, indent=1), encoding="utf-8")


def _plan(photos: Sequence[Photo], out: Path, packing: Packing) -> dict[str, list[tuple[Photo, str]]]:
    """Name of a shard -> its photographs and their keys."""
    order = list(range(len(photos)))
    if packing.seed is not None:
        order = torch.randperm(len(photos), generator=torch.Generator().manual_seed(packing.seed)).tolist()
    keys = _keys(photos)
    stretches = range(0, len(photos), packing.photographs)
    digits = max(3, len(str(len(stretches) - 1)))
    return {
        f"{out.name}-{number:0{digits}d}.tar": [
            (photos[i], keys[i]) for i in order[first : first + packing.photographs]
        ]
        for number, first in enumerate(stretches)
    }


def _keys(photos: Sequence[Photo]) -> list[str]:
    """Of each photograph its folders and its name without suffix or dots, numbered where two are the same."""
    keys: dict[str, None] = {}
    for photo in photos:
        path = PurePosixPath(photo.name)
        folders = [part for part in path.parent.parts if part not in ("/", "..")]
        plain = "/".join([*folders, path.stem.replace(".", "_")])
        number, one = 1, plain
        while one in keys:
            number += 1
            one = f"{plain}-{number}"
        keys[one] = None
    return list(keys)


def _finished(report: Path, out: Path, recipe: str) -> dict[str, dict[str, Any]]:
    """What the report says about shards that are there as it says.

    Raises:
        ValueError: if there are shards that it says nothing about, or of other photographs or settings.
    """
    there = {path.name: path.stat().st_size for path in out.parent.glob(f"{out.name}-*.tar")}
    if not report.is_file():
        if there:
            raise ValueError(f"there is {min(there)} already, and no {report} about it; choose another name")
        return {}
    try:
        said = json.loads(report.read_text(encoding="utf-8"))
        same = said["recipe"] == recipe
        finished = {name: made for name, made in said["shards"].items() if there.get(name) == made["bytes"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{report} is damaged; remove it and its shards") from error
    if not same:
        raise ValueError(
            f"{report} is about shards of other photographs or settings; choose another name, or remove "
            "it and its shards"
        )
    return finished


def _count_broken(broken: BrokenFiles, shard: list[tuple[Photo, str]], made: dict[str, Any]) -> None:
    for i, reason in made["broken"]:
        broken.add(shard[i][0], reason)


class _Shards(Dataset[dict[str, Any]]):
    """Number of a shard -> the shard is written, and what is said about it; lives in the workers."""

    def __init__(
        self, folder: Path, shards: list[list[tuple[Photo, str]]], names: list[str], packing: Packing
    ) -> None:
        self.folder, self.shards, self.names, self.packing = folder, shards, names, packing

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, number: int) -> dict[str, Any]:
        path = self.folder / self.names[number]
        # Not `replacing`: what a killed run leaves is to be recognised by the next.
        partial = path.with_name(f".{path.stem}-{secrets.token_hex(4)}.part")
        failures: list[tuple[int, str]] = []
        try:
            with tarfile.open(partial, "w") as tar:
                for i, (photo, name) in enumerate(self.shards[number]):
                    try:
                        content, suffix = _encoded(photo, self.packing)
                    except ValueError as error:
                        failures.append((i, str(error)))
                        continue
                    member = tarfile.TarInfo(name + suffix)  # without time and owner: the same at every run
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
            os.replace(partial, path)
        except OSError as error:  # for `pack` to raise: a worker's own would be a traceback
            return {"error": f"{path}: cannot be written: {error.strerror or error}"}
        finally:
            partial.unlink(missing_ok=True)
        count = len(self.shards[number]) - len(failures)
        return {"photographs": count, "bytes": path.stat().st_size, "broken": failures}


def _encoded(photo: Photo, packing: Packing) -> tuple[bytes, str]:
    """A photograph's file as it goes into the shard, and its suffix.

    Raises:
        ValueError: if it is broken.
    """
    try:
        content = photo.read()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    rgb = read_rgb8(content, packing.image_size or 64)  # also to find out whether it is whole
    if packing.image_size is not None:
        with warnings.catch_warnings():  # of large pictures
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as image:
                larger = min(image.size) > packing.image_size
        if larger:
            file = io.BytesIO()
            Image.fromarray(rgb).save(file, "JPEG", quality=packing.quality, subsampling=0)
            return file.getvalue(), ".jpg"
    suffix = Path(photo.name).suffix.lower()
    return content, next((group[0] for group in SUFFIXES.values() if suffix in group), suffix)
