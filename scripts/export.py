"""python -m scripts.export out=FILE [weights=NAME|FILE] [format=onnx|pt2]
                         [precision=float32|float16|int8] [photographs=FOLDER]

Freeze weights into one file that holds all that colouring takes: FILE.onnx runs
in ONNX Runtime, FILE.pt2 in PyTorch. It is run beside the original and left
only if no pixel differs by more than one 8-bit level. Of smaller precisions the
loss of quality is measured on the photographs.
"""

from pathlib import Path

from colorize import Colorizer, images
from colorize.data.sources import find_photos
from colorize.frozen import SUFFIXES
from colorize.frozen.export import check_form, freeze
from colorize.frozen.precision import quality, with_precision
from colorize.released import DEFAULT
from scripts.arguments import MISSING, arguments, paths, run, writable


def main() -> None:
    args = arguments(
        __doc__, weights=DEFAULT, format="onnx", out=MISSING, precision="float32",
        photographs="data/sample/test",
    )  # fmt: skip
    check_form(args.format)
    path = writable("out", str(args.out), [SUFFIXES[args.format]])
    if Path(str(args.weights)).suffix.lower() in SUFFIXES.values():
        raise ValueError(f"weights={args.weights} is frozen already; expected a name or a .safetensors file")
    colorizer = Colorizer.load(str(args.weights), device="cpu")
    smaller = with_precision(colorizer, args.precision)
    photographs = (
        find_photos(paths("photographs", args.photographs), "photographs")
        if args.precision != "float32"
        else []
    )
    difference = freeze(colorizer, path, args.format, args.precision)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, at most {difference} of 255 levels from the original")
    if photographs:
        loss = quality(colorizer, smaller, (images.read_rgb8(photo.read()) for photo in photographs))
        print(
            f"{args.precision} beside float32 weights, {len(photographs)} photographs of {args.photographs}: "
            f"{loss['mean']:.3f} levels on average, {loss['largest']:.0f} at most, {loss['psnr']:.1f} dB"
        )


if __name__ == "__main__":
    run(main)
