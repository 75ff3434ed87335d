"""Decoded photographs kept on disk, so that the next run maps them into its memory instead of decoding them
again.

A file holds one set at one size: the tensors of `HeldPhotos` and the broken photographs, as safetensors. It
is found by a hash of the photographs' names, sizes and times of change, and of the size they are decoded to.
What it holds is checked against its hashes at every start; a damaged file is made anew. Where all files
together take more than they may, those that were used longest ago are removed.
"""

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import safetensors
import torch
from filelock import FileLock, Timeout

from colorize.data.decoding import BrokenFiles, available_cpus, decode_all, with_progress
from colorize.data.held import DIGEST_SIZE, HeldPhotos, digest
from colorize.data.photo import Photo

FORMAT = 1  # to be raised when decoding gives other pixels
HEADER = 1024  # bytes, of which the last are spaces: the file's sizes are known only once it is written


def hold(
    photos: Sequence[Photo],
    image_size: int,
    broken: BrokenFiles,
    folder: Path | None = None,
    most_bytes: float = math.inf,
) -> HeldPhotos:
    """Decode photographs, or map what a run before has kept of them.

    Args:
        photos: which; the broken ones are left out.
        image_size: shorter side to which they are scaled, in pixels.
        broken: where broken photographs are named and counted, also those that a run before has found.
        folder: where decoded photographs are kept; None to have them in memory alone. Of several processes
            that want the same ones, one decodes and the others wait.
        most_bytes: what all sets in `folder` may take; those used longest ago are removed, never this one.

    Raises:
        ValueError: if more are broken than `broken` allows, or all, or `folder` cannot take them.
    """
    if folder is None:
        return HeldPhotos(decode_all(photos, image_size, broken))
    path = folder / f"photographs-{key(photos, image_size)}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            kept = _opened(path)
            if kept is None:
                _write(path, photos, image_size, broken)
                kept = _opened(path)
            with contextlib.suppress(PermissionError):  # of another user's copy
                os.utime(path)  # for `_make_room`
        _make_room(folder, path, most_bytes)
    except OSError as error:
        raise ValueError(
            f"{path}: decoded photographs cannot be kept here: {error.strerror or error}; choose another "
            "cache_dir or data.disk_copy=false"
        ) from error
    if kept is None:
        raise ValueError(f"{path}: what was written is read differently; choose another cache_dir")
    held, failures = kept
    for i, reason in failures.items():
        broken.add(photos[i], reason)
    return held


def _make_room(folder: Path, in_use: Path, most_bytes: float) -> None:
    """Remove what was used longest ago, and what killed runs left; what another run is at is left to it."""
    with FileLock(folder / "photographs.lock"):
        about = []
        for path in folder.glob("photographs-*"):
            if path.suffix in (".safetensors", ".part"):
                with contextlib.suppress(FileNotFoundError):  # another run has just finished it
                    status = path.stat()
                    about.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in about)
        for _, size, path in sorted(about):
            if total > most_bytes and path != in_use:
                with contextlib.suppress(Timeout, PermissionError):
                    with FileLock(path.with_suffix(".lock"), timeout=0):
                        path.unlink(missing_ok=True)
                    total -= size


def key(photos: Sequence[Photo], image_size: int | None = None) -> str:
    """A hash of photographs by names, sizes and times of change, and of the size they are decoded to."""
    modified = {path: _time_of_change(path) for path in {photo.path for photo in photos}}
    content = hashlib.blake2b(f"{FORMAT} {image_size}\n".encode(), digest_size=DIGEST_SIZE)
    for photo in photos:
        about = (photo.name, photo.size, photo.offset, modified[photo.path])
        content.update("\0".join(map(str, about)).encode(errors="surrogateescape") + b"\n")
    return content.hexdigest()


def _time_of_change(path: Path) -> int | None:
    """In ns; None where the file cannot be reached any more, which reading it will say."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _write(path: Path, photos: Sequence[Photo], image_size: int, broken: BrokenFiles) -> None:
    """Write the pixels as they are decoded, then what describes them; whole or not at all."""
    partial = path.with_suffix(".part")  # one of a killed run is written over
    sizes, digests = [], bytearray()
    try:
        with open(partial, "wb") as file:
            file.write(b" " * HEADER)
            for photo in decode_all(photos, image_size, broken):
                pixels = photo.numpy().data.cast("B")
                sizes.append((photo.shape[1], photo.shape[2]))
                digests += digest(sizes[-1], pixels)
                file.write(pixels)
            count = file.tell() - HEADER
            failures = {i: broken.found[photo] for i, photo in enumerate(photos) if photo in broken.found}
            table = torch.tensor(sizes).numpy().tobytes()
            said = json.dumps(failures).encode()
            file.write(b"\0" * (-count % 8) + table + digests + said)
            file.seek(0)
            file.write(_header(count, len(sizes), table, bytes(digests), said))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _header(count: int, photos: int, table: bytes, digests: bytes, said: bytes) -> bytes:
    """The safetensors header: its length, then JSON that says what lies where."""
    tensors: dict[str, object] = {
        "__metadata__": {"check": hashlib.blake2b(table + digests + said).hexdigest(), "format": str(FORMAT)}
    }
    offset = 0
    padded = count + -count % 8  # for the table's alignment
    for name, kind, shape, size in (
        ("pixels", "U8", [padded], padded),
        ("sizes", "I64", [photos, 2], len(table)),
        ("digests", "U8", [photos, DIGEST_SIZE], len(digests)),
        ("broken", "U8", [len(said)], len(said)),
    ):
        tensors[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(tensors).encode()
    return (HEADER - 8).to_bytes(8, "little") + text.ljust(HEADER - 8)


def _opened(path: Path) -> tuple[HeldPhotos, dict[int, str]] | None:
    """What `_write` wrote, mapped; None if there is nothing, or anything else."""
    if not path.is_file():
        return None
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            check = (file.metadata() or {}).get("check")
            pixels, sizes, digests, said = map(file.get_tensor, ("pixels", "sizes", "digests", "broken"))
    except safetensors.SafetensorError:
        return None
    described = b"".join(bytes(tensor.numpy().data.cast("B")) for tensor in (sizes, digests, said))
    if hashlib.blake2b(described).hexdigest() != check:
        return None
    held = HeldPhotos.of(pixels, sizes.clone(), digests.clone())
    if not _is_whole(held):
        return None
    return held, {int(i): reason for i, reason in json.loads(bytes(said.numpy().data)).items()}


def _is_whole(held: HeldPhotos) -> bool:
    """Whether all photographs are as their digests say; at the speed at which the file is read."""
    pixels = held.pixels.numpy().data
    sizes, starts = held.sizes.tolist(), held.starts.tolist()
    expected = held.digests.numpy()

    def fits(first: int) -> bool:
        return all(
            digest((h, w), pixels[start : start + 3 * h * w]) == expected[i].tobytes()
            for i, ((h, w), start) in enumerate(
                zip(sizes[first : first + 64], starts[first : first + 64], strict=True), first
            )
        )

    firsts = range(0, len(held), 64)
    with ThreadPoolExecutor(available_cpus()) as pool:
        return all(with_progress(pool.map(fits, firsts), "Checking photographs", len(firsts)))
