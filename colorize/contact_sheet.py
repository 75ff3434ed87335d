"""A page that shows photographs with what was made of them, the worst and the best; one file, no server."""

import base64
import heapq
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from colorize import images
from colorize.evaluation import BASELINES, Batch
from colorize.measurements import METRICS, Interval, Measurements, shown

LONGEST = 256  # pixels of the longer side on the page
ORDERED_BY = "ciede2000"


@dataclass(frozen=True)
class Card:
    """A photograph on the page: its figures, and JPEGs by what they show."""

    name: str
    figures: dict[str, float]
    pictures: dict[str, bytes]


class ContactSheet:
    """Keeps the photographs that the first way colours worst and best by CIEDE2000, as small JPEGs; its
    memory does not grow with the number of photographs. A `watch` of `evaluation.measure`.

    Args:
        limit: how many to keep, half of them the worst.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._seen = 0
        self._worst: list[tuple[float, int, Card]] = []
        self._best: list[tuple[float, int, Card]] = []

    def __call__(
        self, batch: Batch, pictures: Mapping[str, Float[Tensor, "b 3 h w"]], measured: Measurements
    ) -> None:
        ways = shown_ways(pictures)
        for i, row in enumerate(measured.last(ways[0])):
            figures = dict(zip(measured.metrics, row.tolist(), strict=True))
            badness, self._seen = figures[ORDERED_BY], self._seen + 1
            places = [
                (heap, order)
                for heap, order, room in (
                    (self._worst, badness, -(-self.limit // 2)),
                    (self._best, -badness, self.limit // 2),
                )
                if room and (len(heap) < room or order > heap[0][0])
            ]
            if not places:
                continue
            card = Card(
                batch.names[i],
                figures,
                {
                    "grey": jpeg(pictures["gray"][i]),
                    **{way: jpeg(pictures[way][i]) for way in ways},
                    "original": jpeg(batch.rgb[i].float() / 255),
                },
            )
            for heap, order in places:
                room = -(-self.limit // 2) if heap is self._worst else self.limit // 2
                (heapq.heappush if len(heap) < room else heapq.heapreplace)(heap, (order, self._seen, card))

    def cards(self) -> list[Card]:
        """What was kept, the worst first."""
        kept = {number: card for heap in (self._worst, self._best) for _, number, card in heap}
        return sorted(kept.values(), key=lambda card: -card.figures[ORDERED_BY])


def shown_ways(ways: Mapping[str, object]) -> list[str]:
    """Those that are no baselines; without any, the first baseline."""
    return [way for way in ways if way not in BASELINES] or [next(iter(ways))]


def jpeg(rgb: Float[Tensor, "3 h w"]) -> bytes:
    """A small JPEG of a picture in [0, 1]."""
    picture = Image.fromarray((rgb * 255).round().byte().permute(1, 2, 0).cpu().numpy())
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88)
    return file.getvalue()


def write_page(
    path: Path,
    title: str,
    notes: Sequence[str],
    found: Mapping[str, Mapping[str, Interval]],
    sheet: ContactSheet,
) -> None:
    """Write the page: the table, what its figures mean, and the photographs."""
    cards = sheet.cards()
    metrics = list(cards[0].figures) if cards else []
    text = files("colorize").joinpath("contact_sheet.html").read_text(encoding="utf-8")
    parts = {
        "TITLE": html.escape(title),
        "NOTES": "".join(f"<li>{html.escape(note)}</li>" for note in notes),
        "TABLE": _table(found),
        "OPTIONS": "".join(
            f'<option value="{m}"{" selected" * (m == ORDERED_BY)}>{html.escape(METRICS[m].heading)}</option>'
            for m in metrics
        ),
        "CARDS": "".join(map(_card, cards)),
    }
    for key, part in parts.items():
        text = text.replace(f"<!--{key}-->", part, 1 if key != "TITLE" else -1)
    with images.replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _table(found: Mapping[str, Mapping[str, Interval]]) -> str:
    metrics = list(next(iter(found.values())))
    head = "".join(
        f'<th scope="col" title="{html.escape(METRICS[m].meaning)}">{METRICS[m].heading}</th>'
        for m in metrics
    )
    rows = ""
    for way, row in found.items():
        cells = ""
        for metric, (value, low, high) in row.items():
            bounds = f"<small>{shown(metric, low)} to {shown(metric, high)}</small>"
            text = shown(metric, value)
            cells += f"<td>{text}{bounds if text != '-' else ''}</td>"
        kind = ' class="baseline"' if way in BASELINES else ""
        rows += f'<tr{kind}><th scope="row">{html.escape(way)}</th>{cells}</tr>'
    return f"<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody>"


def _card(card: Card) -> str:
    name = html.escape(card.name, quote=True)
    data = " ".join(f'data-{metric}="{value:.6g}"' for metric, value in card.figures.items())
    pictures = "".join(
        f'<figure><img alt="{name}, {html.escape(what, quote=True)}" src="data:image/jpeg;base64,'
        f'{base64.b64encode(encoded).decode()}"><figcaption>{html.escape(what)}</figcaption></figure>'
        for what, encoded in card.pictures.items()
    )
    figures = " ".join(
        f"<span>{METRICS[metric].heading} <b>{shown(metric, value)}</b></span>"
        for metric, value in card.figures.items()
    )
    return (
        f'<article tabindex="0" data-name="{name}" {data}><h2>{name}</h2>'
        f'<div class="strip">{pictures}</div><p>{figures}</p></article>\n'
    )
