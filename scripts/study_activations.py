"""python -m scripts.study_activations [data.root=FOLDER] [key=value ...]

Activations on MNIST: the same network with and without batch normalisation,
with each activation; curves of training and test accuracy.
"""

from typing import Any

from colorize.data.toy import Digits, mnist
from colorize.studies import activations
from colorize.studies.summary import summarise, write_csv
from scripts.figures.activations import curves
from scripts.study import StudyRun, study


def main(cfg: Any, run: StudyRun) -> None:
    train, test = mnist(cfg.data.root, cfg.data.download)
    train = Digits(train.images[: cfg.data.digits], train.labels[: cfg.data.digits])
    seeds = range(cfg.seed, cfg.seed + cfg.runs)
    records = activations.compare(
        train, test, list(cfg.activations), cfg.depth, cfg.width, cfg.epochs, cfg.batch_size, cfg.lr, seeds
    )
    write_csv(run.folder / "curves.csv", records)
    last = [record for record in records if record["epoch"] == cfg.epochs]
    columns = ["training accuracy (%)", "test accuracy (%)"]
    table = run.table("Activations on MNIST", last, ["activation", "batch norm"], columns)
    for (name, norm, epoch), row in summarise(
        records, ["activation", "batch norm", "epoch"], columns
    ).items():
        for column in columns:
            run.writer.add_scalar(f"{column}, {norm} batch norm/{name}", row[column].mean, int(epoch))
    run.figure("activations_on_mnist", curves(records))
    run.finding(activations.finding(table))


if __name__ == "__main__":
    study(main, "activations", __doc__)
