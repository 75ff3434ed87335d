"""python -m scripts.evaluate data=FOLDER|LIST|SHARDS [weights=NAME|FILE] [temperature=[T,..]]
                           [saturation=[S,..]] [vividness=[V,..]] [guide=[C,..]]
                           [prior=NAME|FILE]

Metrics of weights over photographs (their middle squares at the weights' image size), beside gray, the
training photographs' mean colour and the original; a row for each temperature, saturation, vividness and
guide. What is not given is as the weights have it.

AuC is the share of pixels within 0, 1 .. 150 ab units of the truth, averaged over those thresholds, all
pixels pooled; rebalanced it weighs each pixel by 1 / max(prior, 1e-4) of its true colour, with the prior of
the weights, or of the weights `prior`. PSNR and colourfulness are means over photographs.
"""

import torch

from colorize import Colorizer
from colorize.data.decoding import BrokenFiles, decode_all
from colorize.data.held import HeldPhotos
from colorize.data.sources import find_photos
from colorize.decoding import Decoding
from colorize.evaluation import baselines, evaluate, network_colorers, print_table
from scripts.arguments import MISSING, arguments, numbers, paths, run


def main() -> None:
    args = arguments(__doc__, weights="unet", data=MISSING, temperature=[], saturation=[],
                     vividness=[], guide=[], prior=None)  # fmt: skip
    ts, ss, vs, gs = (numbers(k, args[k]) for k in ("temperature", "saturation", "vividness", "guide"))
    found = find_photos(paths("data", args.data), "data")
    colorizer = Colorizer.load(str(args.weights))
    judge = colorizer if args.prior is None else Colorizer.load(str(args.prior))
    if judge.prior is None:
        raise ValueError(f"{args.prior or args.weights} holds no prior, which the rebalanced AuC needs")
    held = HeldPhotos(decode_all(found, colorizer.image_size, BrokenFiles(0.01, len(found))))
    squares = (
        held.center_squares(which, colorizer.image_size) for which in torch.arange(len(held)).split(32)
    )
    decodings = {
        f"T={t:g} S={s:g}" + ("" if v is None else f" V={v:g}") + (f" G={g:g}" if g else ""): Decoding(
            t, s, None if v is None else colorizer.offset(v), g
        )
        for t in ts or [colorizer.temperature]
        for s in ss or [colorizer.saturation]
        for v in vs or [colorizer.vividness]
        for g in gs or [colorizer.guide]
    }
    colorers = [
        network_colorers(colorizer.network, colorizer.bins, decodings),
        baselines(judge.bins, judge.prior),
    ]
    title = f"{args.weights} on {len(held)} photographs of {args.data}"
    print_table(evaluate(colorers, squares, judge.bins, judge.prior), title)


if __name__ == "__main__":
    run(main)
