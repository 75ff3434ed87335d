"""python -m scripts.evaluate data.root=FOLDER|LIST|SHARDS [weights=NAME|FILE] [temperature=[T,..]]
                           [saturation=[S,..]] [vividness=[V,..]] [guide=[C,..]]
python -m scripts.evaluate outputs=FOLDER reference=FOLDER|LIST|SHARDS [weights=NAME|FILE]
Both: [prior=NAME|FILE] [protocol=working|zhang16|val5k|resize|whole] [lpips=FILE|none] [resamples=1000]
      [seed=0] [sheet=100] [out=outputs/evaluation]

Metrics of weights over photographs, a row for each temperature, saturation, vividness and guide (what is not
given is as the weights have it); or of pictures that any tool made, NAME or NAME-color in `outputs` for each
NAME in `reference`. Beside them gray, the mean colour, a random colour of the prior and the original. Each
figure has a 95 % interval, by drawing photographs `resamples` times anew.

Prints a table; `out` gets results.json and report.html with the `sheet` photographs coloured worst and best.
docs/evaluation.md says what protocols and figures are. Bins and prior are those of the weights, or of the
weights `prior`.
"""

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
        vividness=[], guide=[], prior=None, protocol=None, lpips=None, resamples=1000, seed=0, sheet=100,
        out="outputs/evaluation",
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
    judge = (
        Judge.of(str(args.weights), colorizer)
        if args.prior is None
        else Judge.of(str(args.prior), Colorizer.load(str(args.prior)))
    )
    decodings = {
        f"T={t:g} S={s:g}" + ("" if v is None else f" V={v:g}") + (f" G={g:g}" if g else ""): Decoding(
            t, s, None if v is None else colorizer.offset(v), g
        )
        for t in ts or [colorizer.temperature]
        for s in ss or [colorizer.saturation]
        for v in vs or [colorizer.vividness]
        for g in gs or [colorizer.guide]
    }
    what = f"outputs in {args.outputs}" if by_files else str(args.weights)
    title = f"{what} on {len(photos)} photographs of {root}"
    evaluate_photos(title, str(args.weights), colorizer, judge, decodings, photos, outputs, settings, out)


if __name__ == "__main__":
    run(main)
