"""python -m scripts.pack FOLDER|LIST|SHARDS OUT [photographs=1000]
                       [image_size=null] [quality=95] [seed=0] [workers=null]
                       [max_broken=0.01]

Writes the photographs into WebDataset shards OUT-000.tar, OUT-001.tar and so
on, `photographs` in each, shuffled by `seed` (null keeps the folder's order). A
sample's key is its path in the folder without the suffix, so that folders of
classes stay visible. Files go in as they are; with image_size larger ones are
scaled to that shorter side as JPEG of `quality`. Broken files are named and
left out, up to the share max_broken. A run that was stopped goes on when it is
called again: OUT.json says which shards are finished.
"""

from pathlib import Path

from colorize.data.decoding import BrokenFiles, available_cpus
from colorize.data.packing import Packing, pack
from colorize.data.sources import find_photos
from colorize.ranges import check_value
from scripts.arguments import MISSING, arguments, paths, run


def main() -> None:
    args = arguments(
        __doc__, ("data", "out"), data=MISSING, out=MISSING, photographs=1000, image_size=None, quality=95,
        seed=0, workers=None, max_broken=0.01,
    )  # fmt: skip
    packing = Packing(args.photographs, args.image_size, args.quality, args.seed)
    for key in ("max_broken", "workers"):
        check_value(f"data.{key}", args[key])
    if str(args.out).endswith("/"):
        raise ValueError(f"OUT is how the names of shards begin, such as {args.out}photos; got {args.out}")
    out = Path(str(args.out))
    photos = find_photos(paths("data", args.data), "data")
    broken = BrokenFiles(args.max_broken, len(photos), "max_broken")
    shards = pack(photos, out, packing, broken, available_cpus() if args.workers is None else args.workers)
    first, last = (shard.stem.removeprefix(f"{out.name}-") for shard in (shards[0], shards[-1]))
    pattern = f"{out}-{{{first}..{last}}}.tar" if len(shards) > 1 else str(shards[0])
    print(f"{len(photos) - len(broken.found)} photographs, {len(broken.found)} broken left out:  {pattern}")
    print(f"Train on them:  python train.py data.root='{pattern}'")


if __name__ == "__main__":
    run(main)
