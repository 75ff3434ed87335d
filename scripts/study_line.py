"""python -m scripts.study_line [key=value ...]

L1 against L2 on a line with outliers: a 1-10-10-10-1 network under each
penalty, batch size 1, absolute error; what L1 disconnected is pruned, and the
smaller network trained again.
"""

from typing import Any

from colorize.data.toy import line_with_outliers
from colorize.regularizers import Regularizer
from colorize.studies import line
from scripts.figures.line import errors, fits, heat_maps, heat_maps_over_time
from scripts.study import StudyRun, study


def main(cfg: Any, run: StudyRun) -> None:
    data = line_with_outliers(
        cfg.samples, cfg.outliers, cfg.slope, cfg.intercept, cfg.noise, length=cfg.length, seed=cfg.seed
    )
    training = line.Training(cfg.runs, cfg.epochs, cfg.lr, cfg.seed)
    penalties, step = line.penalties(cfg.strength), cfg.lr * cfg.strength
    start = training.networks(line.WIDTHS)
    trained, snapshots = line.train({k: (start, p) for k, p in penalties.items()}, data, training, "training")

    smaller, sizes = {}, {}
    for name, tolerance in (("L1", step), ("L1, proximal", 0.0)):
        smaller[f"{name}, pruned"], sizes[name] = line.prune_all(trained[name], data, tolerance)
    again = {f"{name}, trained again": (networks, Regularizer()) for name, networks in smaller.items()}
    again["L1, 1-10-10-1-1"] = (training.networks(line.BY_HAND), penalties["L1"])
    retrained, _ = line.train(again, data, training, "training again")

    records = line.measure(trained | smaller | retrained, data, step)
    columns = [key for key in records[0] if key not in ("network", "run")]
    run.table("Line with outliers", records, ["network"], columns)
    few = [record for record in records if int(record["run"]) < 5]
    run.table("Line with outliers, first 5 runs", few, ["network"], columns)
    run.rows("Total error of each run", line.beside_article(few))
    pruned = [{"network": name, **record} for name, rows in sizes.items() for record in rows]
    columns = ["hidden units", "parameters", "change by tolerance", "change by pruning"]
    run.table("Pruning", pruned, ["network"], columns)

    run.figure("line_fits", fits(trained, data))
    run.figure("line_weights", heat_maps(list(penalties), snapshots))
    heat_maps_over_time(list(penalties), snapshots, run.folder / "line_weights.gif")
    run.figure("line_errors", errors(records, line.ARTICLE))
    for snapshot in snapshots[:: max(1, cfg.epochs // 20)]:
        for layer, kernels in enumerate(snapshot.kernels):
            for name, kernel in zip(penalties, kernels, strict=True):
                run.writer.add_histogram(f"kernel {layer + 1}/{name}", kernel, snapshot.epoch)
    run.finding(line.finding(records, sizes["L1, proximal"]))


if __name__ == "__main__":
    study(main, "line", __doc__)
