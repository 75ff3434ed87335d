"""Weights files: safetensors with all settings in their metadata. Nothing in them is ever run.

Tensors: "network.*", the state; "bins.centers" (q, 2); "prior" (q). Metadata: "colorize", a JSON object with
"format", "network" (name and options), "bins", "temperature", "image_size", "saturation", "training".
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn

from colorize import images

FORMAT = 1


def write_weights(
    path: str | os.PathLike[str], about: Mapping[str, object], tensors: Mapping[str, Tensor]
) -> None:
    """Write a weights file, whole or not at all."""
    metadata = {"colorize": json.dumps({"format": FORMAT, **about})}
    contiguous = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    with images.replacing(path) as temporary:
        # Not save_file: its files are private to their owner, whatever the umask.
        temporary.write_bytes(safetensors.torch.save(contiguous, metadata))


def read_weights(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The metadata and the tensors of a weights file."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = (file.metadata() or {}).get("colorize")
            keys = file.keys() if metadata else []
            tensors = {key: file.get_tensor(key) for key in keys}
        about = json.loads(metadata or "null")
    except (safetensors.SafetensorError, json.JSONDecodeError) as error:
        hint = "a run writes its weights to model.safetensors"
        raise ValueError(f"{path}: damaged, or not a safetensors file ({error}); {hint}") from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not isinstance(about, dict):
        raise ValueError(f"{path}: holds no Colorize weights; a run writes its own to model.safetensors")
    if about.get("format") != FORMAT:
        raise ValueError(f"{path}: is of format {about.get('format')}, expected {FORMAT}; update Colorize")
    return about, tensors


def load_network(network: nn.Module, given: dict[str, Tensor]) -> None:
    """`load_state_dict`, with an error of one line."""
    expected = network.state_dict()
    for key in sorted(expected.keys() | given.keys()):
        shapes = [tuple(d[key].shape) if key in d else "nothing" for d in (given, expected)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"{key} has shape {shapes[0]}, expected {shapes[1]}")
    network.load_state_dict(given)
