"""What reports share, whatever was judged: numbers with their intervals, CSV, the slides that were left out."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.errors import ExitCode
from inference.run_output import AMISS, LeftOut
from training.findings import Findings, Section, Table, save_findings
from training.intervals import Interval


@dataclass(frozen=True, eq=False)
class Report:
    """A judged run.

    Attributes:
        findings: what is told.
        left_out: slides that could not be judged.
        files: further ones, by name.
    """

    findings: Findings
    left_out: tuple[LeftOut, ...]
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> ExitCode:
        """See `exit_code_of`."""
        return exit_code_of(self.left_out)

    def save(self, out: Path) -> str:
        """Write all of it into a folder, which is made where it is not there; returns the tables as Markdown."""
        out.mkdir(parents=True, exist_ok=True)
        for name, text in self.files.items():
            (out / name).write_text(text, encoding="utf-8")
        return save_findings(out, self.findings)


def exit_code_of(left_out: Iterable[LeftOut]) -> ExitCode:
    """Not good where slides that should have been judged could not be."""
    return ExitCode.SOME_SLIDES_FAILED if any(it.why in AMISS for it in left_out) else ExitCode.GOOD


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as CSV with a head; None stays empty."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue()


def decimal(value: float | None) -> str | None:
    """As CSV files show it."""
    return None if value is None else f"{value:.6f}"


def with_interval(value: float | None, interval: Interval | None) -> dict[str, Any]:
    """As `metrics.json` has it."""
    return {"value": value, "interval": None if interval is None else [interval.low, interval.high]}


def shown(value: float | None, interval: Interval | None = None) -> str:
    """As the tables show it; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:.4f}" + (f" ({interval.low:.3f} to {interval.high:.3f})" if interval else "")


def left_out_sections(left_out: Sequence[LeftOut], numbers: str) -> tuple[Section, ...]:
    """A table of these slides with the reasons; none where there are none.

    Args:
        left_out: of a run.
        numbers: what they are left out of, for the heading.
    """
    if not left_out:
        return ()
    why = Table(("slide", "why"), tuple((it.slide_id, it.reason) for it in left_out))
    return (Section(f"Left out of the numbers on {numbers}", why),)


def left_out_notes(left_out: Iterable[LeftOut], empty: Sequence[str]) -> tuple[str, ...]:
    """Sentences on failed slides, and on those in which no tissue was found.

    Args:
        left_out: of a run.
        empty: names of slides that count, yet hold no tissue.
    """
    notes = []
    if empty:
        notes.append(f"No tissue was found on {', '.join(empty)}; such a slide counts with score 0 and no detection")
    failed = sum(it.why == "failed" for it in left_out)
    if failed:
        notes.append(f"Slides that failed in infer: {failed}; they are in no number, neither as found nor as missed")
    return tuple(notes)


def left_out_values(left_out: Iterable[LeftOut]) -> dict[str, dict[str, str]]:
    """The same for `metrics.json`: why and reason by slide."""
    return {it.slide_id: {"why": it.why, "reason": it.reason} for it in left_out}
