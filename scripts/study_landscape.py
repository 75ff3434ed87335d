"""python -m scripts.study_landscape [key=value ...]

What L1 and L2 do to the weights of a trained network and to the optimum of a
regression; the rules of a step checked against the closed form.
"""

from typing import Any

import torch

from colorize.data.toy import linear_regression
from colorize.studies import landscape
from scripts.figures.landscape import contours, histograms, rule_paths
from scripts.study import StudyRun, study


def main(cfg: Any, run: StudyRun) -> None:
    seeds = range(cfg.seed, cfg.seed + cfg.runs)
    records, weights = landscape.trained_weights(cfg.strength, list(cfg.hidden), cfg.steps, cfg.lr, seeds)
    columns = ["exact zeros (%)", "below 1e-3 (%)", "sum of |w|", "largest |w|", "error"]
    trained = run.table("Weights by penalty", records, ["penalty"], columns)
    for name, values in weights.items():
        run.writer.add_histogram(f"weights/{name}", values)
    run.figure("landscape_weights", histograms(weights, cfg.strength))

    x, y = linear_regression(
        list(cfg.regression.weights), correlation=cfg.regression.correlation, seed=cfg.seed
    )
    paths = landscape.optimum_paths(x, y, torch.linspace(0, cfg.regression.strongest, 241))
    run.figure("landscape_contours", contours(paths))

    rules, computed = landscape.update_rules(
        list(cfg.rules.starts), cfg.rules.lr, cfg.rules.strength, cfg.rules.steps
    )
    run.table("Update rules", rules, ["rule"], ["largest difference", "one step at most"])
    run.figure("landscape_rules", rule_paths(computed, cfg.rules.lr, cfg.rules.strength))
    run.finding(landscape.finding(trained, rules, paths))


if __name__ == "__main__":
    study(main, "landscape", __doc__)
