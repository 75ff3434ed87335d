"""python -m scripts.convert weights=FILE.pth out=FILE.safetensors [image_size=256]

Make a weights file of the authors' released `eccv16` state dict
(colorization_release_v2-9b330a0b.pth of github.com/richzhang/colorization), so
that `colorize.py --weights FILE.safetensors` colours with it. Their bin centres
are kept; their code decodes without a temperature, and so T is 1. Nothing in
the file is run.
"""

import pickle
import warnings

import torch

from colorize.bins import Bins
from colorize.colorizer import Colorizer
from colorize.networks.zhang16 import Zhang16, from_released
from colorize.ranges import check_value
from colorize.weights_file import load_network
from scripts.arguments import MISSING, arguments, run, writable


def main() -> None:
    args = arguments(__doc__, weights=MISSING, out=MISSING, image_size=256)
    out = writable("out", str(args.out), (".safetensors",))
    check_value("data.image_size", args.image_size)
    try:
        with warnings.catch_warnings():  # of odd pickles
            warnings.simplefilter("ignore")
            state = torch.load(str(args.weights), weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        # Not in torch's words, which advise to run what is in the file.
        raise ValueError(
            f"{args.weights} is no state dict: damaged, or it holds more than tensors (nothing in it was run)"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(t, torch.Tensor) for t in state.values()):
        raise ValueError(f"{args.weights} is no state dict: expected names with tensors")
    state, centers = from_released(state)
    first = state.get("model1.0.weight")
    network = Zhang16(len(centers), 64 if first is None else len(first))
    load_network(network, state)
    facts = {"licence": "BSD-2-Clause, Richard Zhang", "command": "the authors' release"}
    colorizer = Colorizer(
        network, Bins(centers), name="zhang16", temperature=1.0, image_size=args.image_size,
        bins_info={"source": "zhang313", "step": 10.0}, training=facts,
    )  # fmt: skip
    colorizer.save(out)
    print(f"{out}: {len(centers)} bins, {out.stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    run(main)
