"""python -m scripts.strips [weights=[NAME|FILE,...]] [data=FOLDER]
                         [only=[NAME,...]] [out=FOLDER] [sheet=FILE.png]

One PNG a photograph: grey | coloured by each of the weights | original. `only`
picks photographs by name, `sheet` joins the strips into one picture.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from colorize import Colorizer, images
from colorize.data.sources import find_photos
from scripts.arguments import arguments, paths, run, writable

CAPTION, GAP = 22, 4  # pixels


def main() -> None:
    args = arguments(
        __doc__, weights=["unet"], data="data/sample/test", only=None, out="outputs/strips", sheet=None
    )
    sheet = None if args.sheet is None else writable("sheet", str(args.sheet), (".png",))
    photos = find_photos(paths("data", args.data), "data")
    if args.only is not None:
        names = {Path(photo.name).stem for photo in photos}
        if unknown := [name for name in as_list(args.only) if name not in names]:
            raise ValueError(f"only: there is no photograph {', '.join(unknown)} in {args.data}")
        photos = [photo for photo in photos if Path(photo.name).stem in as_list(args.only)]
    colorizers = {
        "/".join(Path(w).with_suffix("").parts[-2:]): Colorizer.load(w) for w in as_list(args.weights)
    }
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    strips = []
    for photo in photos:
        original = Image.fromarray(images.read_rgb8(photo.read()))
        colored = {name: colorizer(original) for name, colorizer in colorizers.items()}
        strips.append(strip({"grey": original.convert("L"), **colored, "original": original}))
        strips[-1].save(folder / f"{Path(photo.name).stem}.png")
    print(f"{len(strips)} strips of grey | {' | '.join(colorizers)} | original:  {folder}")
    if sheet:
        joined(strips).save(sheet, optimize=True)
        print(sheet)


def as_list(names: Any) -> list[str]:
    """One name, or several; what looks like a number may be one."""
    several = isinstance(names, Sequence) and not isinstance(names, str)
    return [str(name) for name in names] if several else [str(names)]


def strip(pictures: dict[str, Image.Image]) -> Image.Image:
    """Pictures of one size side by side, each under its name."""
    width, height = next(iter(pictures.values())).size
    canvas = Image.new("RGB", (len(pictures) * (width + GAP) - GAP, height + CAPTION), "white")
    for i, (name, picture) in enumerate(pictures.items()):
        canvas.paste(picture.convert("RGB"), (i * (width + GAP), CAPTION))
        place = (i * (width + GAP) + 2, 3)
        ImageDraw.Draw(canvas).text(place, name, fill="black", font=ImageFont.load_default(14))
    return canvas


def joined(strips: list[Image.Image]) -> Image.Image:
    """Strips below each other."""
    width, height = max(s.width for s in strips), sum(s.height + GAP for s in strips) - GAP
    canvas, top = Image.new("RGB", (width, height), "white"), 0
    for one in strips:
        canvas.paste(one, (0, top))
        top += one.height + GAP
    return canvas


if __name__ == "__main__":
    run(main)
