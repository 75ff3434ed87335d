"""python -m scripts.choose data=FOLDER|LIST|SHARDS [weights=NAME|FILE]
                         [temperature=[T,..]] [vividness=[V,..]]
                         [saturation=[S,..]] [guide=C] [below_gray=0] [rows=10]
                         [max_broken=0.01]

Temperature, vividness and saturation for weights, by validation photographs: of
all combinations the one with the highest rebalanced AuC whose raw AuC is at
most `below_gray` points below that of grey pictures, and whose mean chroma is
within 30 % of the originals'. Prints it (*), grey, and the `rows` combinations
with the highest rebalanced AuC; `guide` is as the weights have it. Broken
photographs are named and left out, up to the share max_broken.
"""

import itertools

import torch
from rich.console import Console
from rich.table import Table

from colorize import Colorizer
from colorize.choosing import best, scores
from colorize.data.decoding import BrokenFiles, decode_all
from colorize.data.held import HeldPhotos
from colorize.data.sources import find_photos
from colorize.decoding import Decoding
from colorize.ranges import check_value
from colorize.released import DEFAULT
from scripts.arguments import MISSING, arguments, at_least, number, numbers, paths, run

SETTINGS = ("temperature", "vividness", "saturation")
HEADINGS = ("T", "vividness", "saturation", "AuC %", "rebalanced %", "chroma %")


def main() -> None:
    args = arguments(
        __doc__, weights=DEFAULT, data=MISSING, temperature=[0.25, 0.38, 0.6, 1], saturation=[0.8, 1, 1.2],
        vividness=[0, 0.25, 0.5, 0.75, 1], guide=None, below_gray=0, rows=10, max_broken=0.01,
    )  # fmt: skip
    grid = {key: numbers(key, args[key]) for key in SETTINGS}
    if empty := [key for key, values in grid.items() if not values]:
        raise ValueError(f"{empty[0]} takes one number or more, got none")
    below = number("below_gray", args.below_gray)
    guide = None if args.guide is None else number("guide", args.guide)
    rows = at_least("rows", args.rows, 0)
    check_value("data.max_broken", args.max_broken)
    found = find_photos(paths("data", args.data), "data")
    colorizer = Colorizer.load(str(args.weights))
    guide = colorizer.guide if guide is None else guide
    decodings = {
        (t, v, s): Decoding(t, s, colorizer.offset(v), guide) for t, v, s in itertools.product(*grid.values())
    }
    names = {" ".join(f"{key}={x:g}" for key, x in zip(SETTINGS, how, strict=True)): how for how in decodings}
    broken = BrokenFiles(args.max_broken, len(found), "max_broken")
    held = HeldPhotos(decode_all(found, colorizer.image_size, broken))
    squares = (held.center_squares(w, colorizer.image_size) for w in torch.arange(len(held)).split(32))
    assert colorizer.prior is not None  # without it there is no offset
    named = {name: decodings[how] for name, how in names.items()}
    result = scores(colorizer.network, colorizer.bins, colorizer.prior, named, squares)
    chosen = best(result, below)
    order = sorted(names, key=lambda name: -result[name].auc_rebalanced)[:rows]
    if chosen is not None:
        order = [chosen, *(name for name in order if name != chosen)]
    title = f"{args.weights} on {len(held)} photographs of {args.data}"
    table = Table("", *HEADINGS, title=title, title_justify="left")
    for column in table.columns:
        column.justify = "right"
    for name in ["gray", *order]:
        shown = [f"{x:g}" for x in names[name]] if name in names else ["", "", ""]
        mark = "gray" if name == "gray" else "*" if name == chosen else ""
        score = result[name]
        table.add_row(
            mark, *shown, f"{score.auc:.2f}", f"{score.auc_rebalanced:.2f}", f"{100 * score.chroma:.0f}"
        )
    Console().print(table)
    print(f"choose  {chosen}" if chosen else "no combination is within the limits; allow more below_gray")


if __name__ == "__main__":
    run(main)
