"""Softmax at a temperature: the article's three examples, and photographs decoded from mean to mode."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from colorize import images
from colorize.colorizer import Colorizer
from colorize.data.decoding import with_progress
from colorize.data.photo import Photo
from colorize.metrics import colorfulness, psnr
from colorize.studies.summary import Record, Table

# Scores and the probabilities that the article prints for them at T = 1.
EXAMPLES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "3, 0.7, 0.5": ((3, 0.7, 0.5), (0.846, 0.085, 0.069)),
    "1.2, 1, 1.5": ((1.2, 1, 1.5), (0.316, 0.258, 0.426)),
    "nine 1.2, one 1.5": ((1.2,) * 9 + (1.5,), (0.097,) * 9 + (0.13,)),
}


def probabilities(scores: Sequence[float], temperature: float = 1.0) -> Float[Tensor, " q"]:
    """softmax(scores / temperature), with all of it on the largest score at temperature 0.

    These are the weights of `bins.annealed_mean`, whose f_T(z) = exp(log z / T) / sum is the same function of
    the logits.
    """
    logits = torch.tensor(scores, dtype=torch.float64)
    if temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(), len(logits)).double()
    return torch.softmax(logits / temperature, dim=0)


def examples(temperatures: Sequence[float]) -> list[Record]:
    """The article's examples: a record for each score and temperature, the article's figure beside T = 1."""
    return [
        {"example": name, "temperature": t, "score": score, "probability": p, "article": a if t == 1 else ""}
        for name, (scores, printed) in EXAMPLES.items()
        for t in temperatures
        for score, p, a in zip(scores, probabilities(scores, t).tolist(), printed, strict=True)
    ]


def decode(
    colorizer: Colorizer, source: str | bytes, temperatures: Sequence[float]
) -> tuple[UInt8[np.ndarray, "h w 3"], list[UInt8[np.ndarray, "h w 3"]]]:
    """A photograph (a path, or the file itself), and the same coloured at each temperature; sRGB."""
    original = images.read_rgb8(source)
    return original, [colorizer(original, temperature=t) for t in temperatures]


def measure(colorizer: Colorizer, photos: Sequence[Photo], temperatures: Sequence[float]) -> list[Record]:
    """Colourfulness and PSNR (dB, against the original) of photographs decoded at each temperature.

    Returns:
        a record for each photograph and temperature, and one with the temperature `original`.
    """
    records: list[Record] = []
    for photo in with_progress(photos, "decoding", len(photos)):
        original, decoded = decode(colorizer, photo.read(), temperatures)
        truth = _unit(original)
        pictures = dict(zip(map(str, temperatures), map(_unit, decoded), strict=True)) | {"original": truth}
        records += [
            {
                "photograph": photo.name,
                "temperature": name,
                "colourfulness": colorfulness(rgb).item(),
                "PSNR (dB)": psnr(rgb, truth).item() if name != "original" else math.nan,
            }
            for name, rgb in pictures.items()
        ]
    return records


def finding(table: Table, temperatures: Sequence[float]) -> str:
    """One sentence on what the temperature does, from `measure` summarised by temperature."""
    cold, hot = (table[(str(t),)] for t in (min(temperatures), max(temperatures)))
    verb = "raises" if cold["colourfulness"].mean > hot["colourfulness"].mean else "lowers"
    nearer = "costs" if cold["PSNR (dB)"].mean < hot["PSNR (dB)"].mean else "gains"
    return (
        f"Going from T = {max(temperatures):g} to T = {min(temperatures):g} {verb} the colourfulness from"
        f" {hot['colourfulness'].mean:.1f} to {cold['colourfulness'].mean:.1f} (the originals have"
        f" {table[('original',)]['colourfulness'].mean:.1f}) and {nearer}"
        f" {abs(cold['PSNR (dB)'].mean - hot['PSNR (dB)'].mean):.1f} dB of PSNR."
    )


def _unit(rgb: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "1 3 h w"]:
    return torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float() / 255
