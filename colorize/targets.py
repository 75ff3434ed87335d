"""Which picture files a run colours, and where each result goes, so that none is lost to another."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from colorize import images

RESULT = "-color"
"""What a result's name has behind that of its picture."""


@dataclass(frozen=True)
class Job:
    source: Path
    target: Path


@dataclass
class Plan:
    """What to do, what cannot be done (one line each) and what there is no need to do."""

    jobs: list[Job] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def make_plan(paths: Sequence[Path], output: Path | None = None, force: bool = False) -> Plan:
    """Find the pictures at `paths` and a target for each.

    Folders are searched with what is below them, but for hidden files and results of earlier runs. No target
    is one of the pictures, and none is that of two: where a.gif and a.png would both become a-color.png, the
    second becomes a-png-color.png.

    Args:
        paths: files, whatever their suffix, and folders.
        output: folder for the results, each placed as in the folder it was found in; None: beside pictures.
        force: whether a target may exist already.
    """
    plan = Plan()
    pictures: dict[str, tuple[Path, Path]] = {}
    for path, below in _pictures(paths, plan):
        pictures.setdefault(_key(path), (path, below))  # a file given twice counts once
    identities = {_identity(path) for path, _ in pictures.values()} - {None}
    taken: dict[str, Path] = {}
    for path, below in pictures.values():
        try:
            suffix = images.result_suffix(path)
        except ValueError as error:
            plan.failures.append(str(error))
            continue
        folder = path.parent if output is None else output / below
        target = folder / f"{path.stem}{RESULT}{suffix}"
        other = taken.get(_place(target, output))
        if other is not None and other.suffix.lower() != path.suffix.lower():
            target = folder / f"{path.stem}-{path.suffix[1:]}{RESULT}{suffix}"
        key = _place(target, output)
        if key in taken:
            advice = "rename one" if output is None else "rename one, or colour it in a run with another -o"
            plan.failures.append(f"{path}: its result {target} is already that of {taken[key]}; {advice}")
        elif _identity(target) in identities:
            plan.failures.append(
                f"{path}: its result {target} would replace a picture to be coloured; rename one"
            )
        elif os.path.lexists(target) and not force:
            plan.notes.append(f"{path}: skipped, {target} exists; --force replaces it")
        else:
            plan.jobs.append(Job(path, target))
        taken.setdefault(key, path)
    return plan


def _pictures(paths: Sequence[Path], plan: Plan) -> Iterator[tuple[Path, Path]]:
    """Each picture and the folder below the given one that it lies in."""
    for given in paths:
        if not os.path.isdir(given):  # where Path.is_dir would raise, for want of permission
            original = _original(given)
            if original is None:
                yield given, Path()
            else:
                plan.notes.append(f"{given}: skipped, it is the result of {original}")
            continue
        found = list(_walk(given, plan))
        pictures = [path for path in found if not path.stem.endswith(RESULT)]
        yield from ((path, path.parent.relative_to(given)) for path in pictures)
        if len(pictures) < len(found):
            count = len(found) - len(pictures)
            plan.notes.append(f"{given}: skipped {count} results of earlier runs, names that end in {RESULT}")
        if not found:
            suffixes = " ".join(s for group in images.SUFFIXES.values() for s in group)
            plan.failures.append(f"{given}: no pictures in this folder, looked for {suffixes}")


def _walk(root: Path, plan: Plan) -> Iterator[Path]:
    """Files below `root` named like pictures, in order of their names. Links to folders are not followed."""
    known = {suffix for group in images.SUFFIXES.values() for suffix in group}

    def report(error: OSError) -> None:
        plan.failures.append(f"{error.filename}: cannot be searched: {error.strerror}")

    for folder, folders, files in os.walk(root, onerror=report):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder, name)
            if not name.startswith(".") and path.suffix.lower() in known:
                yield path


def _original(path: Path) -> Path | None:
    """The picture that `path` is the result of, by their names: on a second run `*.jpg` gives both."""
    if not path.stem.endswith(RESULT):
        return None
    stem = path.stem.removesuffix(RESULT)
    names = [stem + suffix for suffix in (path.suffix, ".gif", ".bmp")]  # the last two may have become PNG
    names.append(".".join(stem.rsplit("-", 1)))  # a-png-color.png
    return next((c for name in names if stem and os.path.isfile(c := path.with_name(name))), None)


def _place(target: Path, output: Path | None) -> str:
    """Equal for targets that would be one file."""
    # Elsewhere the file system may take A.jpg and a.jpg for the same; where both are it does not.
    return _key(target) if output is None else _key(target).casefold()


def _key(path: Path) -> str:
    """Equal for the same name in the same folder, however it is reached."""
    return os.path.join(os.path.realpath(path.parent), path.name)


def _identity(path: Path) -> tuple[int, int] | None:
    """Equal for two names of the same file, None if there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
