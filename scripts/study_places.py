"""python -m scripts.study_places [key=value ...]

Kernel, bias and activity regularizers on the regression y = w x + b: weight,
bias and outputs with each alone.
"""

from typing import Any

from colorize.data.toy import linear_regression
from colorize.studies import places
from scripts.figures.places import lines_and_bars
from scripts.study import StudyRun, study


def main(cfg: Any, run: StudyRun) -> None:
    seeds = range(cfg.seed, cfg.seed + cfg.runs)
    records = places.compare(cfg.strength, cfg.samples, cfg.steps, cfg.lr, seeds)
    columns = ["weight", "bias", "mean |output|", "mean squared error"]
    table = run.table("Regression by regularizer", records, ["regularizer"], columns)
    for (name,), row in table.items():
        for column in columns:
            run.writer.add_scalar(f"{column}/{name}", row[column].mean)
    samples = linear_regression([places.SLOPE], cfg.samples, intercept=places.INTERCEPT, seed=cfg.seed)
    run.figure("places", lines_and_bars(table, samples, cfg.strength))
    run.finding(places.finding(table))


if __name__ == "__main__":
    study(main, "places", __doc__)
