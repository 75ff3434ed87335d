"""How a frozen file says that it is whole: its last bytes hold the SHA-256 of all before them.

In ONNX they are one more entry of the model's metadata, which any reader of ONNX takes as such: protobuf
messages written one behind the other are one message.
"""

import hashlib
import os
from pathlib import Path

_KEY = b"colorize.sha256"
_DIGITS = 64
# Field 14 of ModelProto, metadata_props: an entry with its key in field 1 and its value in field 2.
_HEAD = bytes((14 << 3 | 2, 2 + len(_KEY) + 2 + _DIGITS, 1 << 3 | 2, len(_KEY), *_KEY, 2 << 3 | 2, _DIGITS))


def seal(data: bytes) -> bytes:
    """`data` with the seal behind it."""
    return data + _HEAD + hashlib.sha256(data).hexdigest().encode()


def read_sealed(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a sealed file, seal included.

    Raises:
        ValueError: if it cannot be read, is damaged, cut off or no frozen file; one line.
    """
    data = read_bytes(path)
    body, head, digits = (
        data[: -len(_HEAD) - _DIGITS],
        data[-len(_HEAD) - _DIGITS : -_DIGITS],
        data[-_DIGITS:],
    )
    if head != _HEAD or hashlib.sha256(body).hexdigest().encode() != digits:
        raise ValueError(damaged(path))
    return data


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file.

    Raises:
        ValueError: if it cannot be read; one line.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise ValueError(f"{os.fspath(path)}: no such file") from error
    except OSError as error:
        raise ValueError(f"{os.fspath(path)}: cannot be read: {error.strerror or error}") from error


def damaged(path: str | os.PathLike[str]) -> str:
    """What is said of a file that is not as `scripts.export` wrote it."""
    return (
        f"{os.fspath(path)}: damaged, cut off or not written by Colorize; "
        "python -m scripts.export freezes weights anew"
    )
