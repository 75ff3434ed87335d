"""Photographs of noise, made on the spot."""

from pathlib import Path

import numpy as np
from PIL import Image


def save_photo(path: Path, seed: int, size: tuple[int, int] = (80, 64)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path
