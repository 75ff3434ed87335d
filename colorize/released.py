"""Where weights are: those that come with the package, by name, files, and the hub's. Without torch."""

import os
from pathlib import Path

from colorize.hub import SCHEME, from_hub

RELEASED = Path(__file__).parent / "weights"
DEFAULT = "unet"  # see docs/weights.md


def find_weights(name_or_file: str | os.PathLike[str]) -> Path:
    """The file of released weights of that name, the weights file of that path, or that of `hf://OWNER/NAME`.

    Raises:
        ValueError: if there is none.
    """
    if os.fspath(name_or_file).startswith(SCHEME):
        return from_hub(os.fspath(name_or_file))
    path = Path(name_or_file)
    released = sorted(file.stem for file in RELEASED.glob("*.safetensors"))
    if name_or_file in released:
        return RELEASED / f"{name_or_file}.safetensors"
    if path.is_file():
        return path
    if path.suffix or path.name != os.fspath(name_or_file):
        found = "is a folder" if path.is_dir() else "no such file"
        raise ValueError(f"{path}: {found}, expected a .safetensors file or one of {', '.join(released)}")
    known = ", ".join(released) or "none in this copy"
    raise ValueError(
        f"unknown weights {path.name!r}; choose from {known}, or give a .safetensors file "
        f"or {SCHEME}OWNER/NAME"
    )
