"""Which photographs a tar shard holds, and where: its index, kept on disk once it is made.

A tar file has no table of contents: its headers lie between the photographs, all over the file. Reading them
takes about 0.1 ms a photograph, and a seek each on a disk with a head; the index is read in a thousandth of
that.
"""

import hashlib
import json
import os
import tarfile
from pathlib import Path

from colorize.data.photo import SUFFIXES, Photo
from colorize.images import replacing


def photos_in_shard(shard: Path, cache_dir: Path | None = None) -> list[Photo]:
    """The photographs of an uncompressed tar file, in its order.

    Args:
        shard: path of the tar file.
        cache_dir: folder where the index is kept, under the shard's path, size and time of change; None to
            scan the shard at each call. A damaged index is made anew.

    Raises:
        ValueError: if the shard is no readable, uncompressed tar file.
    """
    if cache_dir is None:
        return [Photo(shard, *member) for member in _scan(shard)]
    status = shard.stat()
    recipe = f"{os.path.realpath(shard)}\0{status.st_size}\0{status.st_mtime_ns}\0{sorted(SUFFIXES)}"
    index = cache_dir / f"index-{_digest(recipe.encode())}.json"
    members = _read(index)
    if members is None:
        members = _scan(shard)
        _write(index, members)
    return [Photo(shard, name, size, offset) for name, size, offset in members]


def _scan(shard: Path) -> list[tuple[str, int, int]]:
    """Name, size and offset of each photograph."""
    try:
        with tarfile.open(shard, "r:") as tar:
            return [
                (member.name, member.size, member.offset_data)
                for member in tar
                if member.isfile() and Path(member.name).suffix.lower() in SUFFIXES
            ]
    except (tarfile.TarError, OSError) as error:
        raise ValueError(f"{shard} is no readable, uncompressed .tar shard: {error}") from error


def _write(index: Path, members: list[tuple[str, int, int]]) -> None:
    body = json.dumps(members)
    index.parent.mkdir(parents=True, exist_ok=True)
    with replacing(index) as temporary:
        temporary.write_text(f"{_digest(body.encode())}\n{body}", encoding="utf-8")


def _read(index: Path) -> list[tuple[str, int, int]] | None:
    """What `_write` wrote; None if there is nothing, or anything else."""
    if not index.is_file():
        return None
    digest, _, body = index.read_bytes().partition(b"\n")
    if digest.decode(errors="replace") != _digest(body):
        return None
    return [(name, size, offset) for name, size, offset in json.loads(body)]


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
