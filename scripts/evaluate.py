"""python -m scripts.evaluate data=FOLDER|LIST|SHARDS [weights=NAME|FILE] [temperature=[T,..]]
                           [saturation=[S,..]]

Metrics of weights over photographs (their middle squares at the weights' image size), beside gray, the
training photographs' mean colour and the original; a row for each temperature and saturation.

AuC is the share of pixels within 0, 1 .. 150 ab units of the truth, averaged over those thresholds, all
pixels pooled; rebalanced it weighs each pixel by 1 / max(prior, 1e-4) of its true colour, with the prior that
the weights were trained with. PSNR and colourfulness are means over photographs.
"""

import torch

from colorize import Colorizer
from colorize.data.decoding import BrokenFiles, decode_all
from colorize.data.held import HeldPhotos
from colorize.data.sources import find_photos
from colorize.evaluation import baselines, evaluate, network_colorers, print_table
from scripts.arguments import MISSING, arguments, numbers, paths, run


def main() -> None:
    args = arguments(__doc__, weights="conv8", data=MISSING, temperature=[], saturation=[])
    temperatures, saturations = (numbers(key, args[key]) for key in ("temperature", "saturation"))
    found = find_photos(paths("data", args.data), "data")
    colorizer = Colorizer.load(str(args.weights))
    if colorizer.prior is None:
        raise ValueError(f"{args.weights} holds no prior, which the rebalanced AuC needs")
    held = HeldPhotos(decode_all(found, colorizer.image_size, BrokenFiles(0.01, len(found))))
    squares = (
        held.center_squares(which, colorizer.image_size) for which in torch.arange(len(held)).split(32)
    )
    decodings = {
        f"T = {t:g}, S = {s:g}": (t, s)
        for t in temperatures or [colorizer.temperature]
        for s in saturations or [colorizer.saturation]
    }
    colorers = [
        network_colorers(colorizer.network, colorizer.bins, decodings),
        baselines(colorizer.bins, colorizer.prior),
    ]
    title = f"{args.weights} on {len(held)} photographs of {args.data}"
    print_table(evaluate(colorers, squares, colorizer.bins, colorizer.prior), title)


if __name__ == "__main__":
    run(main)
