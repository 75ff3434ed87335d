"""What the study scripts share: settings from the command line, and the folder of a run."""

import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import rich.table
import torch
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from rich.console import Console
from torch.utils.tensorboard.writer import SummaryWriter

from colorize.configuration import check_overrides, compose_config, quoted_path
from colorize.studies.settings import check_settings
from colorize.studies.summary import Record, Table, summarise, write_csv
from scripts.arguments import run


class StudyRun:
    """The folder of one run, and everything that goes there.

    Attributes:
        folder: of config.yaml, CSVs, pictures, finding.txt and tensorboard/.
        writer: TensorBoard's.
    """

    def __init__(self, folder: Path, settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(OmegaConf.to_yaml(settings), encoding="utf-8")
        self.folder, self.writer = folder, SummaryWriter(folder / "tensorboard")

    def table(self, title: str, records: Sequence[Record], by: Sequence[str], of: Sequence[str]) -> Table:
        """Print n, mean and standard deviation of the columns `of`; leave them and the records as CSV."""
        table = summarise(records, by, of)
        rows = []
        for group, columns in table.items():
            rows.append(dict(zip(by, group, strict=True)) | {"n": max(one.n for one in columns.values())})
            for name, one in columns.items():
                rows[-1] |= {f"{name}, mean": one.mean, f"{name}, standard deviation": one.deviation}
        shown = [
            {**dict(zip(by, group, strict=True)), "n": row["n"]} | {name: str(columns[name]) for name in of}
            for (group, columns), row in zip(table.items(), rows, strict=True)
        ]
        self._print(f"{title}, mean ± standard deviation of n", shown)
        write_csv(self._csv(title), rows)
        write_csv(self._csv(f"{title} runs"), records)
        return table

    def rows(self, title: str, records: Sequence[Record]) -> None:
        """Print records as they are, and leave them as CSV."""
        self._print(title, records)
        write_csv(self._csv(title), records)

    def _print(self, title: str, records: Sequence[Record]) -> None:
        shown = rich.table.Table()
        for place, heading in enumerate(records[0]):
            shown.add_column(heading, justify="right" if place else "left", overflow="fold")
        for record in records:
            shown.add_row(*map(str, record.values()))
        _console().print(title, shown, sep="\n")

    def _csv(self, title: str) -> Path:
        return self.folder / f"{re.sub(r'[^a-z0-9]+', '_', title.lower())}.csv"

    def figure(self, name: str, figure: Figure, dpi: int = 150) -> None:
        """Leave a picture as PNG and in TensorBoard."""
        figure.savefig(self.folder / f"{name}.png", dpi=dpi)
        self.writer.add_figure(name, figure)

    def finding(self, sentence: str) -> None:
        """Print what was found, and where everything is."""
        (self.folder / "finding.txt").write_text(sentence + "\n", encoding="utf-8")
        self.writer.add_text("finding", sentence)
        self.writer.close()
        console = _console()
        console.print(f"Finding: {sentence}", highlight=False)
        console.print(f"Everything is in {self.folder}", highlight=False, soft_wrap=True)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=160)  # in a file, lines need not fit a screen


def study(main: Callable[[Any, StudyRun], None], name: str, usage: str | None) -> None:
    """Run a study script: compose configs/study_NAME.yaml with the command line, then call `main`.

    Wrong settings end it with one line and exit status 2, what goes wrong later with one line and 1.
    """
    config = f"study_{name}"
    words = [quoted_path(word) for word in sys.argv[1:]]
    try:
        if {"-h", "--help"} & set(words):
            print(f"{usage}\nSettings:\n{OmegaConf.to_yaml(compose_config((), config))}")
            return
        if bare := [word for word in words if "=" not in word]:
            raise ValueError(f"settings are key=value; got {bare[0]!r}")
        check_overrides(words, config)
        settings = compose_config(words, config)
        plain: Any = OmegaConf.to_container(settings)
        check_settings(plain)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    torch.set_num_threads(settings.threads)
    folder = settings.out or f"outputs/studies/{name}/{time.strftime('%Y-%m-%d-%H-%M-%S')}"
    run(lambda: main(settings, StudyRun(Path(str(folder)), settings)), status=1)
