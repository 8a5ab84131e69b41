"""What a unit of work reports to the driver, whether it went well or not; and the sum over a slide."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from preprocessing.errors import LostPatchesError
from preprocessing.ledger import Outcome
from preprocessing.slide_plan import SlidePlan


@dataclass(frozen=True)
class Failure:
    """Why something failed: the type of the error, what it says to a person, and its trace."""

    error_type: str
    error: str
    trace: str

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        """To be called where the error is handled, which gives the trace."""
        return cls(type(error).__name__, str(error), traceback.format_exc())


@dataclass(frozen=True)
class UnitReport:
    """How one unit of work ended.

    Attributes:
        slide_id: the slide.
        shard: number of the unit within the slide.
        rows: found or written.
        positives: of these.
        certain: of the rows that were found, those that are taken whatever is drawn.
        left_out: windows that the placement asks for and that found no place.
        seconds: of work.
        written_bytes: of its files that belong into the table.
        failure: None where it went well.
    """

    slide_id: str
    shard: int
    rows: int = 0
    positives: int = 0
    seconds: float = 0.0
    written_bytes: int = 0
    failure: Failure | None = None
    certain: int = 0
    left_out: int = 0


@dataclass(frozen=True)
class Totals:
    """The units of a slide together.

    Attributes:
        units: that reported, well or not.
        rows, positives, certain, left_out: of those that went well.
        seconds: of work.
        written_bytes: of the files for the table.
        failure: of the first unit that failed.
    """

    units: int = 0
    rows: int = 0
    positives: int = 0
    seconds: float = 0.0
    written_bytes: int = 0
    failure: Failure | None = None
    certain: int = 0
    left_out: int = 0


def totals_by_slide(reports: Sequence[UnitReport]) -> dict[str, Totals]:
    """Add up the reports of a wave, by slide_id."""
    return {slide_id: _total(mine) for slide_id, mine in by_slide(reports).items()}


def by_slide(reports: Sequence[UnitReport]) -> dict[str, list[UnitReport]]:
    """The reports of each slide of a wave, by slide_id, in the order of its units."""
    of_slide: dict[str, list[UnitReport]] = {}
    for report in sorted(reports, key=lambda report: report.shard):
        of_slide.setdefault(report.slide_id, []).append(report)
    return of_slide


def _total(reports: Sequence[UnitReport]) -> Totals:
    return Totals(
        units=len(reports),
        rows=sum(report.rows for report in reports),
        positives=sum(report.positives for report in reports),
        seconds=sum(report.seconds for report in reports),
        written_bytes=sum(report.written_bytes for report in reports),
        failure=next((report.failure for report in reports if report.failure), None),
        certain=sum(report.certain for report in reports),
        left_out=sum(report.left_out for report in reports),
    )


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
        why = totals.failure
        return Outcome(plan.entry, "failed", plan.facts, why.error_type, why.error, why.trace, seconds=totals.seconds)
    if totals.units != plan.shards or totals.rows != wanted:
        lost = f"{totals.rows} of {wanted} rows written, {totals.units} of {plan.shards} units reported; run again"
        return Outcome(plan.entry, "failed", plan.facts, LostPatchesError.__name__, lost, seconds=totals.seconds)
    if wanted == 0:
        left_out = totals.left_out
        return Outcome(plan.entry, "empty", plan.facts, error=nothing, seconds=totals.seconds, left_out=left_out)
    return Outcome(
        plan.entry,
        "done",
        plan.facts,
        candidates=candidates,
        patches=totals.rows,
        positives=totals.positives,
        seconds=totals.seconds,
        written_bytes=totals.written_bytes,
        left_out=totals.left_out,
    )
