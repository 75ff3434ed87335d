"""python -m scripts.choose data=FOLDER|LIST|SHARDS [weights=NAME|FILE] [temperature=[T,..]]
                         [vividness=[V,..]] [saturation=[S,..]] [guide=C] [below_gray=0]
                         [rows=10]

Temperature, vividness and saturation for weights, by validation photographs: of all combinations the one with
the highest rebalanced AuC whose raw AuC is at most `below_gray` points below that of grey pictures, and whose
mean chroma is within 30 % of the originals'. Prints the `rows` best of each kind.
"""

import torch
from rich.console import Console
from rich.table import Table

from colorize import Colorizer
from colorize.choosing import best, scores
from colorize.data.decoding import BrokenFiles, decode_all
from colorize.data.held import HeldPhotos
from colorize.data.sources import find_photos
from colorize.decoding import Decoding
from scripts.arguments import MISSING, arguments, numbers, paths, run


def main() -> None:
    args = arguments(
        __doc__, weights="unet", data=MISSING, temperature=[0.25, 0.38, 0.6, 1], saturation=[0.8, 1, 1.2],
        vividness=[0, 0.25, 0.5, 0.75, 1], guide=0.0, below_gray=0, rows=10,
    )  # fmt: skip
    ts, vs, ss = (numbers(key, args[key]) for key in ("temperature", "vividness", "saturation"))
    found = find_photos(paths("data", args.data), "data")
    colorizer = Colorizer.load(str(args.weights))
    decodings = {
        f"temperature={t:g} vividness={v:g} saturation={s:g}": Decoding(t, s, colorizer.offset(v), args.guide)
        for t in ts for v in vs for s in ss
    }  # fmt: skip
    held = HeldPhotos(decode_all(found, colorizer.image_size, BrokenFiles(0.01, len(found))))
    squares = (held.center_squares(w, colorizer.image_size) for w in torch.arange(len(held)).split(32))
    assert colorizer.prior is not None  # without it there is no offset
    result = scores(colorizer.network, colorizer.bins, colorizer.prior, decodings, squares)
    chosen = best(result, args.below_gray)
    gray = result.pop("gray")
    table = Table("", "AuC %", "AuC rebalanced %", "chroma", title=f"{args.weights} on {args.data}")
    order = sorted(result, key=lambda name: -result[name].auc_rebalanced)
    for name in ["gray", *([chosen] if chosen else []), *order[: args.rows]]:
        score = gray if name == "gray" else result[name]
        table.add_row(name, f"{score.auc:.2f}", f"{score.auc_rebalanced:.2f}", f"{score.chroma:.2f}")
    Console().print(table)
    print(f"choose  {chosen}" if chosen else "no combination is within the limits; allow more below_gray")


if __name__ == "__main__":
    run(main)
