"""python -m scripts.download set=ot8 [out=FOLDER] [url=URL]

Fetches the eight outdoor scene categories of Oliva & Torralba 2001 (129 MB,
from their page) and lays them out as data/ot8/{train,test}/CLASS/NAME.jpg;
data/ot8-test.txt says which are for testing. `url` is any other address of that
zip file, file:///... too. The folder appears when all is there, or not at all.
"""

import tempfile
import zipfile
from pathlib import Path
from urllib.error import URLError

from torchvision.datasets.utils import download_url

from scripts.arguments import MISSING, arguments

OT8_URL = "https://people.csail.mit.edu/torralba/code/spatialenvelope/spatial_envelope_256x256_static_8outdoorcategories.zip"
OT8_TEST = Path(__file__).parent.parent / "data" / "ot8-test.txt"


def main() -> None:
    args = arguments(__doc__, set=MISSING, out="data/ot8", url=OT8_URL)
    if args.set != "ot8":
        raise SystemExit(f"error: there is no set {args.set!r} to download; choose ot8")
    out = Path(args.out)
    if out.exists():
        raise SystemExit(f"error: {out} exists; remove it or choose another folder by out=")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".ot8-") as work:
        try:
            download_url(args.url, work, "ot8.zip")
            counts = unpack(Path(work, "ot8.zip"), Path(work, "ot8"))
        except (URLError, OSError, RuntimeError, zipfile.BadZipFile) as error:
            raise SystemExit(f"error: {args.url}: {error}") from None
        Path(work, "ot8").rename(out)
    print(f"{out}: {counts['train']} photographs to train on, {counts['test']} to test")


def unpack(archive: Path, out: Path) -> dict[str, int]:
    """Write CLASS_NAME.jpg of the archive to train/CLASS/NAME.jpg, or to test/ what `OT8_TEST` lists."""
    for_testing = set(OT8_TEST.read_text().split())
    folders = {line.split("/")[0].lower().replace("_", ""): line.split("/")[0] for line in for_testing}
    counts = {"train": 0, "test": 0}
    with zipfile.ZipFile(archive) as photographs:
        for entry in photographs.namelist():
            kind, _, name = Path(entry).name.partition("_")
            folder = folders.get(kind.lower())
            if folder is None or not name.lower().endswith(".jpg"):
                continue
            split = "test" if f"{folder}/{name}" in for_testing else "train"
            target = out / split / folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(photographs.read(entry))
            counts[split] += 1
    if not counts["train"] or not counts["test"]:
        raise OSError(
            f"not the archive of ot8: {counts['train']} photographs to train on, {counts['test']} to test"
        )
    return counts


if __name__ == "__main__":
    main()
