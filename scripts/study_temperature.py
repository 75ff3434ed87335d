"""python -m scripts.study_temperature [key=value ...]

Softmax at a temperature: the article's three examples, then photographs decoded
at T = 1 (the mean) down to T = 0 (the mode).
"""

from typing import Any

from colorize.colorizer import Colorizer
from colorize.data.sources import find_photos
from colorize.studies import temperature
from colorize.studies.summary import write_csv
from scripts.figures.temperature import example_bars, photograph
from scripts.study import StudyRun, study


def main(cfg: Any, run: StudyRun) -> None:
    colorizer = Colorizer.load(cfg.weights, device="cpu")
    temperatures = [float(t) for t in cfg.temperatures]
    examples = temperature.examples(temperatures)
    write_csv(run.folder / "examples.csv", examples)
    for name, (scores, printed) in temperature.EXAMPLES.items():
        ours = temperature.probabilities(scores).tolist()
        print(f"{name}: {' '.join(f'{p:.3f}' for p in ours)}; the article: {' '.join(map(str, printed))}")
    run.figure("temperature_examples", example_bars(temperatures))

    original, decoded = temperature.decode(colorizer, cfg.photograph, temperatures)
    run.figure("temperature_photograph", photograph(original, decoded, temperatures), dpi=100)
    records = temperature.measure(colorizer, find_photos(cfg.photographs), temperatures)
    table = run.table("Photographs by temperature", records, ["temperature"], ["colourfulness", "PSNR (dB)"])
    for t in temperatures:
        run.writer.add_scalar(
            "colourfulness by 100 T", table[(str(t),)]["colourfulness"].mean, round(100 * t)
        )
    run.finding(temperature.finding(table, temperatures))


if __name__ == "__main__":
    study(main, "temperature", __doc__)
