"""What a unit of work reports to the driver: one row, whether it went well or not; and their sum over a slide."""

import traceback
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from preprocessing.errors import LostPatchesError
from preprocessing.ledger import Outcome
from preprocessing.slide_plan import SlidePlan

# `rows` is null where the unit failed.
REPORT_COLUMNS: Final = (
    "slide_id string, shard int, rows long, positives long, seconds double, "
    "error_type string, error string, trace string"
)
_NAMES: Final = [column.split()[0] for column in REPORT_COLUMNS.split(", ")]


def unit_report(slide_id: str, shard: int, rows: int, positives: int, seconds: float) -> pd.DataFrame:
    """The row of a unit that wrote its rows."""
    values = [slide_id, shard, rows, positives, seconds, None, None, None]
    return pd.DataFrame([dict(zip(_NAMES, values, strict=True))])


def failure_report(slide_id: str, shard: int, error: Exception) -> pd.DataFrame:
    """The row of a unit that raised; to be called where the error is handled, which gives the trace."""
    values = [slide_id, shard, None, None, None, type(error).__name__, str(error), traceback.format_exc()]
    return pd.DataFrame([dict(zip(_NAMES, values, strict=True))])


@dataclass(frozen=True)
class Totals:
    """The units of a slide together.

    Attributes:
        units: that reported, well or not.
        rows, positives: of those that went well.
        seconds: of work.
        failure: error type, error and trace of the first unit that failed.
    """

    units: int = 0
    rows: int = 0
    positives: int = 0
    seconds: float = 0.0
    failure: tuple[str, str, str] | None = None


def totals_by_slide(reports: pd.DataFrame) -> dict[str, Totals]:
    """Add up the reports of a wave, by slide_id."""
    return {str(slide_id): _total(rows) for slide_id, rows in reports.groupby("slide_id")}


def _total(rows: pd.DataFrame) -> Totals:
    failed = rows[rows["error_type"].notna()].sort_values("shard")
    failure = None if failed.empty else _cause(failed.iloc[0])
    sums = rows[["rows", "positives", "seconds"]].fillna(0).sum()
    return Totals(len(rows), int(sums["rows"]), int(sums["positives"]), float(sums["seconds"]), failure)


def _cause(row: "pd.Series[Any]") -> tuple[str, str, str]:
    return str(row["error_type"]), str(row["error"]), str(row["trace"])


def outcome_of(plan: SlidePlan, totals: Totals, candidates: int, wanted: int, nothing: str) -> Outcome:
    """How the attempt at a slide ended.

    Args:
        plan: the slide.
        totals: of its units; `units` has to be all of them.
        candidates: positions that passed.
        wanted: rows that have to be there.
        nothing: what to say of a slide of which nothing was wanted.
    """
    if totals.failure is not None:
        return Outcome(plan.entry, "failed", plan.facts, *totals.failure, seconds=totals.seconds)
    if totals.units != plan.shards or totals.rows != wanted:
        lost = f"{totals.rows} of {wanted} rows written, {totals.units} of {plan.shards} units reported; run again"
        return Outcome(plan.entry, "failed", plan.facts, LostPatchesError.__name__, lost, seconds=totals.seconds)
    if wanted == 0:
        return Outcome(plan.entry, "empty", plan.facts, error=nothing, seconds=totals.seconds)
    return Outcome(
        plan.entry,
        "done",
        plan.facts,
        candidates=candidates,
        patches=totals.rows,
        positives=totals.positives,
        seconds=totals.seconds,
    )
