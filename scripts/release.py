"""python -m scripts.release weights=outputs/RUN/model.safetensors name=NAME command=... hardware=...
                          licence=... [temperature=T] [saturation=S]

Put trained weights into the package in half precision. Their metadata gets the command that made them, the
hardware and the licence; temperature and saturation are those that validation photographs asked for.
"""

from colorize import Colorizer
from colorize.weights_file import RELEASED
from scripts.arguments import MISSING, arguments


def main() -> None:
    args = arguments(
        __doc__, weights=MISSING, name=MISSING, command=MISSING, hardware=MISSING, licence=MISSING,
        temperature=0.38, saturation=1.0,
    )  # fmt: skip
    colorizer = Colorizer.load(args.weights, device="cpu")
    colorizer.training |= {"command": args.command, "hardware": args.hardware, "licence": args.licence}
    colorizer.temperature, colorizer.saturation = float(args.temperature), float(args.saturation)
    path = RELEASED / f"{args.name}.safetensors"
    colorizer.save(path, half=True)
    print(f"{path}: {path.stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
