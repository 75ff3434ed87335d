"""python -m scripts.benchmark_frozen [weights=NAME|FILE] [photograph=FILE]
                                   [megapixels=1] [runs=30]

What colouring a photograph takes on the processor, with weights or with a
frozen file: one of them at a time, as the threads of torch would be in the way
of others for a while.
"""

import functools
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from colorize import Colorizer, images
from colorize.benchmarks.report import timing_report
from colorize.benchmarks.timing import measure
from colorize.frozen import SUFFIXES
from colorize.frozen.running import FrozenColorizer
from scripts.arguments import arguments, run


def main() -> None:
    photograph = "data/sample/test/es-beach5.jpg"
    args = arguments(__doc__, weights="conv8", photograph=photograph, megapixels=1.0, runs=30)
    if args.runs < 2:
        raise ValueError(f"runs must be 2 or more, got {args.runs}")
    is_frozen = Path(str(args.weights)).suffix.lower() in SUFFIXES.values()
    color = FrozenColorizer.load(args.weights) if is_frozen else Colorizer.load(str(args.weights), "cpu")
    small = Image.fromarray(images.to_8bit(images.read(Path(str(args.photograph))).rgb))
    factor = (float(args.megapixels) * 1e6 / (small.width * small.height)) ** 0.5
    rgb = np.asarray(small.resize((round(small.width * factor), round(small.height * factor))))
    task = f"colour {rgb.shape[1]} x {rgb.shape[0]} pixels"
    timings = measure(task, {str(args.weights): functools.partial(color, rgb)}, args.runs)
    Console().print(timing_report("Colouring", [timings]).terminal())


if __name__ == "__main__":
    run(main)
