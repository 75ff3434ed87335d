"""python -m scripts.evaluate data.root=FOLDER|LIST|SHARDS [weights=NAME|FILE]
                           [temperature=[T,..]] [saturation=[S,..]]
                           [vividness=[V,..]] [guide=[C,..]]
python -m scripts.evaluate outputs=FOLDER reference=FOLDER|LIST|SHARDS
                           [weights=NAME|FILE]
Both: [prior=NAME|FILE] [protocol=working|zhang16|val5k|resize|whole]
      [size=PIXELS] [floor=1e-4] [lpips=FILE|none] [resamples=1000] [seed=0]
      [sheet=100] [out=outputs/evaluation]

Metrics of weights over photographs, a row for each temperature, saturation,
vividness and guide (what is not given is as the weights have it); or of
pictures that any tool made, NAME or NAME-color in `outputs` for each NAME in
`reference`. Beside them gray, the mean colour, a random colour of the prior and
the original. Each figure has a 95 % interval, by drawing photographs
`resamples` times anew.

Prints a table; `out` gets results.json and report.html with the `sheet`
photographs coloured worst and best. docs/evaluation.md says what protocols and
figures are. Bins and prior are those of the weights, or of `prior`: other
weights, or a file of scripts.prior.
"""

import itertools
from pathlib import Path

from colorize import Colorizer
from colorize.data.sources import find_photos
from colorize.decoding import Decoding
from colorize.evaluating import Judge, Settings, evaluate_photos, prepare
from colorize.released import DEFAULT
from scripts.arguments import arguments, numbers, paths, run


def main() -> None:
    args = arguments(
        __doc__, data=None, outputs=None, reference=None, weights=DEFAULT, temperature=[], saturation=[],
        vividness=[], guide=[], prior=None, protocol=None, size=None, floor=1e-4, lpips=None,
        resamples=1000, seed=0, sheet=100, out="outputs/evaluation",
    )  # fmt: skip
    ts, ss, vs, gs = (numbers(k, args[k]) for k in ("temperature", "saturation", "vividness", "guide"))
    if (args.data is None) == (args.outputs is None) or (args.outputs is None) != (args.reference is None):
        raise ValueError("give either data.root=, to evaluate weights, or both outputs= and reference=")
    by_files = args.outputs is not None
    if by_files and (ts or ss or vs or gs):
        raise ValueError("temperature, saturation, vividness and guide are of weights, not of outputs")
    key, root = ("reference", args.reference) if by_files else ("data", args.data)
    settings = Settings(
        str(args.protocol or ("whole" if by_files else "working")),
        args.size,
        args.floor,
        args.lpips,
        args.resamples,
        args.seed,
        args.sheet,
    )
    settings.check()
    photos = find_photos(paths(key, root), key)
    outputs = Path(str(args.outputs)) if by_files else None
    out = prepare(Path(str(args.out)))
    colorizer = Colorizer.load(str(args.weights))
    judge = Judge.of(str(args.weights), colorizer) if args.prior is None else Judge.read(str(args.prior))
    decodings = {}
    for t, s, v, g in itertools.product(ts or [None], ss or [None], vs or [None], gs or [None]):
        stated = {"T": t, "S": s, "V": v, "G": g}  # the rest is as the weights have it
        name = " ".join(f"{key}={number:g}" for key, number in stated.items() if number is not None)
        vividness = colorizer.vividness if v is None else v
        decodings[name or Path(str(args.weights)).stem] = Decoding(
            colorizer.temperature if t is None else t,
            colorizer.saturation if s is None else s,
            None if vividness is None else colorizer.offset(vividness),
            colorizer.guide if g is None else g,
        )
    what = f"outputs in {args.outputs}" if by_files else str(args.weights)
    title = f"{what} on {len(photos)} photographs of {root}"
    evaluate_photos(title, str(args.weights), colorizer, judge, decodings, photos, outputs, settings, out)


if __name__ == "__main__":
    run(main)
