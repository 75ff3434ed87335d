"""python -m scripts.prior data=FOLDER|LIST|SHARDS [image_size=64]
                        [bins.source=srgb|data|zhang313] [bins.step=10]
                        [smoothing=gaussian|none] [gray_threshold=5]
                        [lambda=0.5] [top=20] [max_broken=0.01]
                        [out=outputs/prior.safetensors]

Counts the colours of photographs (their middle squares at image_size, as
training does) in one pass and prints the `top` bins used most, each with its
share of the pixels and the weight that rebalancing by lambda gives it. Writes
the prior to `out`, for python train.py loss.prior=FILE, and beside it a picture
of the ab plane. configs/loss/rebalanced.yaml says what bins.*, smoothing and
gray_threshold mean; broken photographs are named and left out, up to the share
max_broken.
"""

from pathlib import Path

import torch
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from colorize import images
from colorize.color import lab_to_rgb
from colorize.data.decoding import BrokenFiles, available_cpus, with_progress
from colorize.data.sources import find_photos
from colorize.data.streaming import squares_of
from colorize.plane import draw_shares
from colorize.prior import rebalancing_weights
from colorize.prior_file import COUNTED_BY, CountedPrior, count_prior
from colorize.ranges import check_values
from scripts.arguments import MISSING, arguments, at_least, paths, run, writable

OUT = Path("outputs/prior.safetensors")
BINS = {"source": "srgb", "step": 10.0, "neighbours": 5, "sigma": 5.0}
COUNTED = {"smoothing": "gaussian", "gray_threshold": 5.0}


def main() -> None:
    args = arguments(
        __doc__, data=MISSING, image_size=64, bins=BINS, **COUNTED, top=20, max_broken=0.01, out=str(OUT),
        **{"lambda": 0.5},
    )  # fmt: skip
    given = OmegaConf.to_container(args)
    loss = {key: given[key] for key in (*COUNTED_BY, "lambda")}
    check_values(loss, "loss.")
    at_least("top", args.top, 1)
    check_values({key: given[key] for key in ("image_size", "max_broken")}, "data.")
    if args.out == str(OUT):
        OUT.parent.mkdir(exist_ok=True)
    out = writable("out", str(args.out), (".safetensors",))
    photos = find_photos(paths("data", args.data), "data")
    broken = BrokenFiles(args.max_broken, len(photos), "max_broken")
    squares = squares_of(photos, args.image_size, broken, available_cpus())
    facts = {"data": given["data"], "image_size": args.image_size}
    counted = count_prior(with_progress(squares, "Counting colours", len(squares)), loss, facts)
    counted.facts["photographs"] = len(photos) - len(broken.found)
    counted.write(out)
    plane = draw_shares(counted.centers, counted.prior, float(args.bins.step))
    picture = out.with_suffix(".png")
    images.write(picture, images.Picture((plane * 255).round().byte().permute(1, 2, 0).numpy()))
    Console().print(table(counted, rebalancing_weights(counted.prior, given["lambda"]), args.top))
    print(f"The ab plane:      {picture}")
    chosen = {f"loss.bins.{key}": args.bins[key] for key in BINS if args.bins[key] != BINS[key]}
    chosen |= {
        f"loss.{key}": args[key] for key in ("smoothing", "gray_threshold") if args[key] != COUNTED[key]
    }
    words = [f"loss.prior={out}", *(f"{key}={value}" for key, value in chosen.items())]
    print(f"Train with it:     python train.py {' '.join(words)}")


def table(counted: CountedPrior, weights: torch.Tensor, top: int) -> Table:
    """The bins used most, each with a swatch of its colour at L* = 65."""
    used = int((counted.prior > 0).sum())
    title = f"{used} of {len(counted.prior)} bins in {counted.facts['photographs']} photographs"
    rows = Table(title=title, title_justify="left")
    for heading in ("", "a", "b", "share %", "weight"):
        rows.add_column(heading, justify="right")
    for i in counted.prior.argsort(descending=True)[:top].tolist():
        a, b = counted.centers[i].tolist()
        rgb = (lab_to_rgb(torch.tensor([65.0, a, b]).view(3, 1, 1)) * 255).round().int().flatten().tolist()
        swatch = f"[on rgb({','.join(map(str, rgb))})]      [/]"
        rows.add_row(swatch, f"{a:g}", f"{b:g}", f"{100 * counted.prior[i]:.2f}", f"{weights[i]:.3g}")
    return rows


if __name__ == "__main__":
    run(main)
