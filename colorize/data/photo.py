"""A photograph on disk, in a file of its own or inside a tar shard."""

from dataclasses import dataclass
from pathlib import Path

from colorize.images import SUFFIXES as SUFFIXES_OF_FORMATS

SUFFIXES = frozenset(suffix for suffixes in SUFFIXES_OF_FORMATS.values() for suffix in suffixes)


@dataclass(frozen=True, slots=True)
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
