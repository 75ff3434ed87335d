"""python -m scripts.inspect NAME|FILE

What is inside released weights, a weights file or a frozen file (.onnx, .pt2):
layers with their shapes, parameters and FLOPs, bins, prior, temperature, and
where it all comes from.
"""

import sys

from colorize.frozen.layers import inspect_file
from colorize.frozen.report import print_contents
from scripts.arguments import run


def main() -> None:
    words = sys.argv[1:]
    if {"-h", "--help"} & set(words):
        print(__doc__)
        return
    if len(words) != 1 or "=" in words[0]:
        raise ValueError(f"inspect takes the name or the file of weights; got {' '.join(words)!r}")
    print_contents(inspect_file(words[0]), words[0])


if __name__ == "__main__":
    run(main)
