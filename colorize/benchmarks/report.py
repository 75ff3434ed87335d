"""Tables of the benchmark, for the terminal and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from colorize.benchmarks.timing import Timing

TIMING_HEADINGS = ("task", "way", "median ms", "middle half", "peak MiB", "times ours")


@dataclass(frozen=True)
class Report:
    """A table: title, headings, rows of text; the first `left` columns are words, the others figures."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1

    def terminal(self) -> Table:
        table = Table(title=self.title, title_justify="left", show_lines=False)
        for column, name in enumerate(self.headings):
            table.add_column(name, justify="left" if column < self.left else "right")
        for row, following in zip(self.rows, [*self.rows[1:], None], strict=True):
            table.add_row(*row, end_section=following is None or bool(following[0]))
        return table

    def markdown(self) -> str:
        rule = [":--" if column < self.left else "--:" for column in range(len(self.headings))]
        lines = [f"| {' | '.join(row)} |" for row in (self.headings, rule, *self.rows)]
        return "\n".join([f"## {self.title}", "", *lines])


def timing_report(title: str, tasks: Sequence[Sequence[Timing]]) -> Report:
    """Timings of several tasks; of each the first way is ours."""
    rows = []
    for timings in tasks:
        for t in timings:
            task = t.task if t is timings[0] else ""
            spread, ratio = f"{t.low:.1f} - {t.high:.1f}", f"{t.median / timings[0].median:.1f}"
            peak = "" if t.peak is None else f"{t.peak / 2**20:.0f}"
            rows.append((task, t.way, f"{t.median:.1f}", spread, peak, ratio))
    return Report(title, TIMING_HEADINGS, rows, left=2)
