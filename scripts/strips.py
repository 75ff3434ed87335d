"""python -m scripts.strips [weights=[NAME|FILE,...]] [data=FOLDER] [only=[NAME,...]] [out=FOLDER]
[sheet=FILE.png]

One PNG a photograph: grey | coloured by each of the weights | original. `only` picks photographs by name,
`sheet` joins the strips into one picture.
"""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from colorize import Colorizer, images
from colorize.data.sources import find_photos
from scripts.arguments import arguments

CAPTION, GAP = 22, 4  # pixels


def main() -> None:
    args = arguments(
        __doc__, weights=["conv8"], data="data/sample/test", only=None, out="outputs/strips", sheet=None
    )
    colorizers = {
        "/".join(Path(w).with_suffix("").parts[-2:]): Colorizer.load(w) for w in as_list(args.weights)
    }
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    strips = []
    for photo in find_photos(args.data, "data"):
        if args.only and Path(photo.name).stem not in as_list(args.only):
            continue
        original = Image.fromarray(images.read_rgb8(photo.read()))
        colored = {name: colorizer(original) for name, colorizer in colorizers.items()}
        strips.append(strip({"grey": original.convert("L"), **colored, "original": original}))
        strips[-1].save(folder / f"{Path(photo.name).stem}.png")
    print(f"{len(strips)} strips of grey | {' | '.join(colorizers)} | original:  {folder}")
    if args.sheet and strips:
        joined(strips).save(args.sheet, optimize=True)
        print(args.sheet)


def as_list(names: str | Sequence[str]) -> list[str]:
    """One name, or several."""
    return [names] if isinstance(names, str) else [str(name) for name in names]


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
    try:
        main()
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
