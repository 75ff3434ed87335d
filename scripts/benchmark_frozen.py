"""python -m scripts.benchmark_frozen file=FILE [weights=NAME|FILE] [photograph=FILE] [megapixels=1] [runs=15]

A frozen file beside the weights that it was made from: what colouring a photograph takes, on the processor.
"""

import numpy as np
from PIL import Image
from rich.console import Console

from colorize import Colorizer, images
from colorize.benchmarks.report import timing_report
from colorize.frozen.benchmark import coloring
from colorize.frozen.running import FrozenColorizer
from scripts.arguments import MISSING, arguments, run


def main() -> None:
    args = arguments(
        __doc__,
        file=MISSING,
        weights="conv8",
        photograph="data/sample/test/es-beach5.jpg",
        megapixels=1.0,
        runs=15,
    )
    if args.runs < 2:
        raise ValueError(f"runs must be 2 or more, got {args.runs}")
    colorizer = Colorizer.load(str(args.weights), device="cpu")
    frozen = FrozenColorizer.load(str(args.file))
    photograph = Image.fromarray(images.read(str(args.photograph)).rgb)
    factor = (float(args.megapixels) * 1e6 / (photograph.width * photograph.height)) ** 0.5
    size = (round(photograph.width * factor), round(photograph.height * factor))
    rgb = np.asarray(photograph.resize(size, Image.Resampling.BICUBIC))
    Console().print(
        timing_report("Frozen beside torch", [coloring(colorizer, frozen, rgb, args.runs)]).terminal()
    )


if __name__ == "__main__":
    run(main)
