"""Pictures that some tool made of photographs: which belongs to which, and whether they can be compared."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from colorize import images
from colorize.data.photo import SUFFIXES, Photo
from colorize.protocols import Cut, Pixels, Protocol
from colorize.targets import RESULT

OUTPUT = "outputs"  # what the tables call them


def match_outputs(folder: Path, originals: Sequence[Photo]) -> dict[Photo, Path]:
    """For each original NAME.EXT the picture NAME-color or NAME in `folder`, whatever its suffix.

    NAME has the folders in which the original was found; an output that lies in none of them is found too,
    unless two have its name. An original is never its own output.

    Raises:
        ValueError: if there is no such folder, an original has no output, or two of the same name.
    """
    if not folder.is_dir():
        raise ValueError(f"outputs: there is no folder {folder}")
    named: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            inside = path.relative_to(folder).with_suffix("").as_posix()
            for name in {inside, path.stem}:
                named.setdefault(name, []).append(path)
    found = {}
    for photo in originals:
        output = _output_of(photo, named)
        if output is None:
            stem = Path(photo.name).stem
            raise ValueError(
                f"outputs: there is no {stem}{RESULT} or {stem} in {folder} for {photo}; give only originals "
                "that have one"
            )
        found[photo] = output
    used = {*found.values(), *(photo.path for photo in originals)}
    if unused := len({path for paths in named.values() for path in paths} - used):
        print(f"warning: {unused} pictures in {folder} belong to no original", file=sys.stderr)
    return found


def _output_of(photo: Photo, named: dict[str, list[Path]]) -> Path | None:
    inside, real = Path(photo.name).with_suffix("").as_posix(), os.path.realpath(photo.path)
    for name in dict.fromkeys((inside + RESULT, inside, Path(inside).name + RESULT, Path(inside).name)):
        paths = [path for path in named.get(name, []) if os.path.realpath(path) != real]
        if len(paths) > 1:
            raise ValueError(f"outputs: {paths[0]} and {paths[1]} could both be {photo}; keep one of them")
        if paths:
            return paths[0]
    return None


def output_reader(
    matched: dict[Photo, Path], protocol: Protocol, size: int
) -> Callable[[Photo, Pixels], dict[str, Cut]]:
    """Read the output of an original, as `read_batches` wants it.

    Raises (when called):
        ValueError: if it is no readable picture, or cannot be compared with the original by the protocol.
    """

    def read(photo: Photo, original: Pixels) -> dict[str, Cut]:
        output = images.read_rgb8(matched[photo], protocol.read_at(size) or None)
        if not protocol.fits(output, original):
            (h, w), (h2, w2) = output.shape[:2], original.shape[:2]
            raise ValueError(
                f"{matched[photo]} is {w} x {h} pixels and its original {w2} x {h2}, which this protocol "
                "does not compare; protocol=resize scales both to 256 x 256"
            )
        return {OUTPUT: output}

    return read
