"""python -m scripts.benchmark [runs=15] [data=FOLDER]

Median milliseconds of our encoding, loss and colour conversion beside other ways, all in one run: one batch
of the paper, 40 photographs whose targets are 44 x 44 pixels, 313 bins.
"""

import platform

import torch
from rich.console import Console
from rich.table import Table

from colorize import benchmarks
from colorize.data.decoding import BrokenFiles, decode_all
from colorize.data.held import HeldPhotos
from colorize.data.sources import find_photos
from scripts.arguments import arguments, paths, run


def main() -> None:
    args = arguments(__doc__, runs=15, data="data/sample")
    if args.runs < 2:
        raise ValueError(f"runs must be 2 or more, got {args.runs}")
    photos = find_photos(paths("data", args.data), "data")
    held = HeldPhotos(decode_all(photos[:40], 44, BrokenFiles(0.0, 40)))
    rgb = held.center_squares(torch.arange(40) % len(held), 44).float() / 255
    table = Table(title=f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}")
    for heading in ("task", "way", "median ms", "middle half", "times ours"):
        table.add_column(heading, justify="left" if heading in ("task", "way") else "right")
    for task in (benchmarks.encoding, benchmarks.loss, benchmarks.lab):
        timings = task(rgb, args.runs)
        for t in timings:
            spread, ratio = f"{t.low:.1f} - {t.high:.1f}", f"{t.median / timings[0].median:.1f}"
            table.add_row(t.task if t is timings[0] else "", t.way, f"{t.median:.1f}", spread, ratio)
        table.add_section()
    Console().print(table)


if __name__ == "__main__":
    run(main)
