"""What `_compiled.c` gives; the arrays are those of `joining.join` and `images.pixels`."""

from typing import Any

import numpy as np

VERSION: int
MOST_SIDE: int
Array = np.ndarray[Any, np.dtype[Any]]

def join(
    rgb: Array,
    lookup: Array,
    wide: Array,
    first: Array,
    weight: Array,
    matrix: Array,
    level: Array,
    numbers: Array,
    out: Array,
    /,
) -> None: ...
def box_means(pixels: Array, side: int, means: Array, /) -> None: ...
def rgb_to_lab(rgb: Array, matrix: Array, numbers: Array, lab: Array, first: int, last: int, /) -> None: ...
