"""python -m scripts.study_sweep [key=value ...]

Dropout, early stopping and augmentation on the colorizer: each alone, none and
all of them, on few photographs of ot8, or of the sample where ot8 is absent.
"""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from colorize.studies import sweep
from colorize.studies.summary import summarise, write_csv
from scripts.figures.sweep import curves
from scripts.study import StudyRun, study


def main(cfg: Any, run: StudyRun) -> None:
    photographs = cfg.photographs
    root = photographs.root if Path(photographs.root).is_dir() else photographs.otherwise
    chosen = sweep.choose_photographs(root, photographs.train, photographs.val, run.folder, cfg.seed)
    settings = [*cfg.settings, *chosen, f"cache_dir='{run.folder.resolve()}/cache'"]
    ways: Any = OmegaConf.to_container(cfg.ways)
    seeds = range(cfg.seed, cfg.seed + cfg.runs)
    records = sweep.sweep(settings, ways, seeds, run.folder / "runs")
    write_csv(run.folder / "curves.csv", records)
    rows = sweep.kept(records)
    table = run.table(f"Colorizer on photographs of {root}", rows, ["variant"], list(rows[0])[2:])
    columns = ["validation loss", "training loss"]
    for (variant, step), row in summarise(records, ["variant", "step"], columns).items():
        for column in columns:
            run.writer.add_scalar(f"{column}/{variant}", row[column].mean, int(step))
    run.figure("sweep", curves(records, rows))
    run.finding(sweep.finding(table))


if __name__ == "__main__":
    study(main, "sweep", __doc__)
