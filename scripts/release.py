"""python -m scripts.release weights=outputs/RUN/model.safetensors name=NAME
                          command=... hardware=... licence=...
                          [temperature=T] [saturation=S] [vividness=V] [guide=C]
                          [force=true]

Put trained weights into the package in half precision. Their metadata gets the
command that made them, the hardware and the licence; temperature and the rest
are those that validation photographs asked for. Released weights are replaced
only with force=true.
"""

import re

from colorize import Colorizer
from colorize.released import RELEASED
from scripts.arguments import MISSING, arguments, number, run


def main() -> None:
    args = arguments(
        __doc__, weights=MISSING, name=MISSING, command=MISSING, hardware=MISSING, licence=MISSING,
        temperature=0.38, saturation=1.0, vividness=None, guide=0.0, force=False,
    )  # fmt: skip
    name = str(args.name)
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(f"name takes letters, digits, _, - and dots, got {name!r}")
    path = RELEASED / f"{name}.safetensors"
    if path.exists() and args.force is not True:
        raise ValueError(f"{path} exists; force=true replaces it")
    temperature, saturation, guide = (
        number(key, args[key]) for key in ("temperature", "saturation", "guide")
    )
    vividness = None if args.vividness is None else number("vividness", args.vividness)
    colorizer = Colorizer.load(args.weights, device="cpu")
    colorizer.training |= {"command": args.command, "hardware": args.hardware, "licence": args.licence}
    colorizer.temperature, colorizer.saturation = temperature, saturation
    colorizer.vividness, colorizer.guide = vividness, guide
    colorizer.save(path, half=True)
    print(f"{path}: {path.stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    run(main)
