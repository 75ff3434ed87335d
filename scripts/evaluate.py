"""python -m scripts.evaluate [weights=NAME|FILE] data=FOLDER|LIST|SHARDS [temperature=T]

Metrics of weights over photographs (their middle squares at the weights' image size), beside gray, the
training photographs' mean colour and the original. AuC pools pixels, rebalanced with 1 / the weights' prior;
PSNR and colourfulness are means over photographs.
"""

import torch

from colorize import Colorizer
from colorize.data.decoding import decode_all
from colorize.data.sources import find_photos
from colorize.data.windows import HeldPhotos
from colorize.evaluation import baselines, evaluate, network_colorer, print_table
from scripts.arguments import MISSING, arguments


def main() -> None:
    args = arguments(__doc__, weights="conv8", data=MISSING, temperature=None)
    colorizer = Colorizer.load(args.weights)
    if colorizer.prior is None:
        raise SystemExit(f"error: {args.weights} holds no prior, which the rebalanced AuC needs")
    temperature = colorizer.temperature if args.temperature is None else float(args.temperature)
    try:
        photos = decode_all(find_photos(args.data), colorizer.image_size, max_broken=0.01)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    held = HeldPhotos(photos)
    squares = (
        held.center_squares(which, colorizer.image_size) for which in torch.arange(len(held)).split(32)
    )
    colorers = {
        f"{args.weights}, T = {temperature:g}": network_colorer(
            colorizer.network, colorizer.bins, temperature
        )
    }
    colorers |= baselines(colorizer.bins, colorizer.prior)
    print_table(
        evaluate(colorers, squares, colorizer.bins, colorizer.prior),
        f"{len(held)} photographs of {args.data}",
    )


if __name__ == "__main__":
    main()
