"""python -m scripts.study_gradients [key=value ...]

The vanishing gradient: norms of each layer's gradient in a deep network at the
start and while it trains, by activation; and a sheet of all activations with
their derivatives.
"""

from typing import Any

from colorize.activations import ACTIVATIONS
from colorize.studies import gradients
from colorize.studies.summary import summarise, write_csv
from scripts.figures.gradients import by_layer, over_training, sheet
from scripts.study import StudyRun, study


def main(cfg: Any, run: StudyRun) -> None:
    seeds = range(cfg.seed, cfg.seed + cfg.runs)
    records = gradients.compare(
        list(cfg.activations), cfg.depth, cfg.width, cfg.steps, cfg.measured, cfg.lr, seeds
    )
    write_csv(run.folder / "gradient_norms.csv", records)
    rows = gradients.first_over_last(records)
    table = run.table("Gradients by activation", rows, ["activation"], list(rows[0])[2:])
    means = summarise(records, ["activation", "step", "layer"], ["gradient norm"])
    for (name, step, layer), columns in means.items():
        run.writer.add_scalar(
            f"gradient norm, layer {layer}/{name}", columns["gradient norm"].mean, int(step)
        )
    run.figure("gradients_by_layer", by_layer(records))
    run.figure("gradients_in_training", over_training(records))
    run.figure("activations", sheet([name for name in ACTIVATIONS if name != "prelu_shared"]))
    run.finding(gradients.finding(table))


if __name__ == "__main__":
    study(main, "gradients", __doc__)
