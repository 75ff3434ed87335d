"""Runs into tables: one record a run, then number, mean and standard deviation over the runs of each kind."""

import csv
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Record = Mapping[str, str | float]


@dataclass(frozen=True)
class Statistic:
    """Number of values, their mean and their standard deviation (over n - 1); NaN where there is none."""

    n: int
    mean: float
    deviation: float

    def __str__(self) -> str:
        if not self.n:
            return "-"
        spread = "" if math.isnan(self.deviation) else f" ± {self.deviation:.3g}"
        return f"{self.mean:.4g}{spread}"


Table = dict[tuple[str, ...], dict[str, Statistic]]


def summarise(records: Sequence[Record], by: Sequence[str], of: Sequence[str]) -> Table:
    """Statistics of the columns `of` over the records that agree in the columns `by`."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(tuple(str(record[column]) for column in by), []).append(record)
    return {
        group: {column: statistic([float(record[column]) for record in members]) for column in of}
        for group, members in groups.items()
    }


def statistic(values: Sequence[float]) -> Statistic:
    """Number, mean and standard deviation of some values; a NaN says that there was nothing to measure."""
    there = [value for value in values if not math.isnan(value)]
    mean = statistics.fmean(there) if there else math.nan
    return Statistic(len(there), mean, statistics.stdev(there) if len(there) > 1 else math.nan)


def write_csv(path: Path, records: Sequence[Record]) -> None:
    """One line a record, under the columns of the first one."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
