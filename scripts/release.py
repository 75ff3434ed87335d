"""python -m scripts.release weights=outputs/RUN/model.safetensors name=NAME command='python train.py ...'

Put trained weights into the package in half precision, with the command that made them in their metadata.
"""

from colorize import Colorizer
from colorize.weights_file import RELEASED
from scripts.arguments import MISSING, arguments


def main() -> None:
    args = arguments(
        __doc__, weights=MISSING, name=MISSING, command=MISSING, hardware=MISSING, licence=MISSING
    )
    colorizer = Colorizer.load(args.weights, device="cpu")
    colorizer.training |= {"command": args.command, "hardware": args.hardware, "licence": args.licence}
    path = RELEASED / f"{args.name}.safetensors"
    colorizer.save(path, half=True)
    print(f"{path}: {path.stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
