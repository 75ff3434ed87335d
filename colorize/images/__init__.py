"""Picture files: `read`, `write` and `resize` whatever people have on disk.

reading.py turns a file into a `Picture` and writing.py does the reverse; pixels.py says what the numbers in
between mean. Every picture comes out as sRGB of 8 or 16 bits, upright, its first frame or page only.

Files of 8 bits go through Pillow. It would reduce 16-bit colour to 8, so deep.py reads such PNG through
imagecodecs and TIFF through tifffile.
"""

from colorize.images.pixels import Picture, in_strips, resize, to_8bit
from colorize.images.reading import SUFFIXES, from_pillow, pixel_count, read, read_rgb8, result_suffix
from colorize.images.writing import replacing, write

__all__ = [
    "SUFFIXES",
    "Picture",
    "from_pillow",
    "in_strips",
    "pixel_count",
    "read",
    "read_rgb8",
    "replacing",
    "resize",
    "result_suffix",
    "to_8bit",
    "write",
]
