"""Colorize: train a colorizer of photographs in CIE Lab space, and colour pictures with it.

The way of the data, from a file to a coloured file; training and inference share every step that both take:

    images.read               file -> RGB
    data/                     photographs -> uint8 batches (b, 3, h, w), cut, flipped and aged on the device
    color.rgb_to_lab          RGB -> L in [0, 100], a and b about +-110
    bins.Bins.soft_encode     ab -> the k nearest of Q bins and their weights, (b, k, h, w) each
    networks/                 L -> logits (b, Q, h, w)
    losses, prior             cross-entropy against the sparse encoding, rare colours weighted up
    bins.annealed_mean        logits -> ab at a temperature
    colorizer.Colorizer       ab brought to full size, joined with the picture's own L -> RGB
    images.write              RGB -> file
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Colorizer", "__version__"]

if TYPE_CHECKING:
    from colorize.colorizer import Colorizer


def __getattr__(name: str) -> object:
    if name == "Colorizer":  # on demand: torch takes over a second to import, and --help has no use for it
        from colorize.colorizer import Colorizer

        return Colorizer
    raise AttributeError(f"module 'colorize' has no attribute {name!r}")
