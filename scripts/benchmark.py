"""python -m scripts.benchmark [runs=15] [data=FOLDER] [device=auto]
                            [parts=maths,step,...] [out=FILE.md]

Everything of one machine in one run: our encoding, loss and colour conversion
beside other ways (one batch of the paper: 40 photographs whose targets are 44 x
44 pixels, 313 bins), the machine's limits, how cost grows, batches of windows,
the parts of a training step, and what colouring takes. Medians, the middle half
of the runs, and the peak of memory on top of what was there. `parts` takes some
of it; `out` gets the same as Markdown.
"""

from rich.console import Console

from colorize.benchmarks.parts import PARTS, Bench, heading
from colorize.colorizer import _device
from scripts.arguments import arguments, paths, run, writable


def main() -> None:
    args = arguments(__doc__, runs=15, data="data/sample", device="auto", parts=",".join(PARTS), out="")
    if args.runs < 2:
        raise ValueError(f"runs must be 2 or more, got {args.runs}")
    names = str(args.parts).split(",")
    if unknown := [name for name in names if name not in PARTS]:
        raise ValueError(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    out = writable("out", args.out, [".md"]) if args.out else None
    bench = Bench(args.runs, paths("data", args.data), _device(args.device))
    console, text = Console(), [heading(bench)]
    console.print(text[0], highlight=False)
    for name in names:
        for table in PARTS[name](bench):
            console.print(table.terminal())
            text.append(table.markdown())
    if out:
        out.write_text("\n\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
