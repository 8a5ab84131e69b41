"""What is told of some judged sets, in plain data: tables, sentences, numbers, drawings. Any kind of task fills it.

The same findings become Markdown, JSON, CSV and PNG here, and HTML in `html_report`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from matplotlib.figure import Figure

Place = Literal["metrics", "stains", "hardest", "training"]

_DPI: Final = 150


@dataclass(frozen=True)
class Table:
    """A table of text; the first column names its rows, and every row is as long as `columns`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """The table as Markdown; all columns but the first are set to the right."""
        lines = [_line(self.columns), "|---|" + "---:|" * (len(self.columns) - 1), *map(_line, self.rows)]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Section:
    """A table with what has to be said about it.

    Attributes:
        heading: None for the first one, which stands below the title.
        table: the numbers.
        text: one or two sentences; may be empty.
        place: chapter of the page.
    """

    heading: str | None
    table: Table
    text: str = ""
    place: Place = "metrics"


@dataclass(frozen=True)
class Drawing:
    """A figure and what a reader who cannot see it is told.

    Attributes:
        name: of its file, without `.png`.
        caption: how to read it.
        alt: what it shows, in words and numbers.
        figure: by matplotlib.
        place: chapter of the page.
    """

    name: str
    caption: str
    alt: str
    figure: Figure
    place: Place = "metrics"


@dataclass(frozen=True)
class Findings:
    """All that is told of some judged sets.

    Attributes:
        title: heading.
        sections: tables, the most important first.
        notes: sentences on how sure the numbers are, without full stop.
        values: what `metrics.json` holds, by the name of the set.
        drawings: figures.
        slides: one row per slide, as CSV with a header; None where the slides are not known.
    """

    title: str
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    values: Mapping[str, Mapping[str, Any]]
    drawings: tuple[Drawing, ...]
    slides: str | None

    def markdown(self) -> str:
        """Tables and notes as Markdown."""
        notes = "\n".join(f"- {note}." for note in self.notes)
        blocks = [f"## {self.title}\n", *self._blocks(), *([f"{notes}\n"] if notes else [])]
        return "\n".join(blocks)

    def _blocks(self) -> Iterator[str]:
        for section in self.sections:
            if section.heading:
                yield f"### {section.heading}\n"
            yield section.table.markdown()
            if section.text:
                yield f"{section.text}\n"


def save_findings(folder: Path, findings: Findings) -> str:
    """Write `metrics.md`, `metrics.json`, the figures, and `slides.csv` where the slides are known.

    Args:
        folder: where to; it exists.
        findings: what to tell.

    Returns:
        The tables as Markdown, for printing.
    """
    text = findings.markdown()
    (folder / "metrics.md").write_text(text, encoding="utf-8")
    (folder / "metrics.json").write_text(json.dumps(findings.values, indent=2) + "\n", encoding="utf-8")
    if findings.slides is not None:
        (folder / "slides.csv").write_text(findings.slides, encoding="utf-8")
    save_drawings(folder, findings.drawings)
    return text


def save_drawings(folder: Path, drawings: Iterable[Drawing]) -> None:
    """Write each figure as `NAME.png`."""
    for drawing in drawings:
        drawing.figure.savefig(folder / f"{drawing.name}.png", dpi=_DPI)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
