"""Two classes in words: tables with one column per judged set, and sentences that tell how sure the numbers are."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields

from training.evidence import Evidence
from training.findings import Section, Table
from training.intervals import COVERAGE, Interval
from training.metrics import BinaryMetrics
from training.slide_level import TOP

_AT_TARGET = ("threshold", "sensitivity", "specificity", "precision")
_Rows = Iterator[tuple[str, ...]]


def metric_sections(sets: Mapping[str, BinaryMetrics], evidence: Mapping[str, Evidence]) -> tuple[Section, ...]:
    """The metrics at the Youden threshold and, where slides are known, at the one for a wanted sensitivity.

    Args:
        sets: metrics by the name of the set.
        evidence: of those sets whose slides are known; rows and a second table come with it.
    """
    columns, plain = ("metric", *sets), [field.name for field in fields(BinaryMetrics)]
    if not evidence:
        return (Section(None, Table(columns, tuple(_metric_rows(plain, sets, evidence)))),)
    rows = (*_metric_rows((*plain, "accuracy"), sets, evidence), *_evidence_rows(sets, evidence))
    target = next(iter(evidence.values())).target_sensitivity
    brackets = (
        f" In brackets: {COVERAGE:.0%} intervals over slides." if any(it.intervals for it in evidence.values()) else ""
    )
    explained = f"The threshold has the largest Youden index on validation.{brackets}"
    second = f"At the highest threshold with a sensitivity of at least {target:g} on validation"
    return (
        Section(None, Table(columns, rows), explained),
        Section(second, Table(("metric", *evidence), tuple(_target_rows(evidence)))),
    )


def metric_notes(evidence: Mapping[str, Evidence]) -> tuple[str, ...]:
    """How sure the numbers are, one sentence each."""
    if not evidence:
        return ()
    notes = [
        f"{name}, {level}: {note}"
        for name, it in evidence.items()
        for level, note in (("patches", it.patch_intervals.note), ("slides", it.slide_intervals.note))
    ]
    if any(interval.low == interval.high for it in evidence.values() for interval in it.intervals.values()):
        notes.append("An interval without width only says that no slide drawn differed; other slides may")
    return (
        *notes,
        f"A slide is positive where any of its patches is; its score is the mean of its {TOP} highest probabilities",
        "Both thresholds were chosen on validation, so what validation says of them is somewhat too good",
        "Precision and calibration hold for the mix of classes that was judged, see `positives`",
    )


def shown(value: float | None, interval: Interval | None = None) -> str:
    """A number as the tables show it: whole, or with 5 digits and its interval; a dash where there is none."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.5f}" + (f" ({interval.low:.3f} to {interval.high:.3f})" if interval else "")


def _metric_rows(names: Iterable[str], sets: Mapping[str, BinaryMetrics], evidence: Mapping[str, Evidence]) -> _Rows:
    for name in names:
        cells = [shown(getattr(metrics, name), _interval(evidence.get(of), name)) for of, metrics in sets.items()]
        yield (name, *cells)


def _evidence_rows(sets: Mapping[str, BinaryMetrics], evidence: Mapping[str, Evidence]) -> _Rows:
    numbers: dict[str, Callable[[Evidence], float | None]] = {
        "average_precision": lambda it: it.curve.average_precision,
        "calibration_error": lambda it: it.reliability.expected_error,
        "slides": lambda it: len(it.slides),
        "positive_slides": lambda it: it.positive_slides,
        "slide_auc": lambda it: it.slide_auc,
    }
    found = [evidence.get(name) for name in sets]
    for name, number in numbers.items():
        yield (name, *(shown(None if it is None else number(it), _interval(it, name)) for it in found))


def _target_rows(evidence: Mapping[str, Evidence]) -> _Rows:
    for name in _AT_TARGET:
        cells = [shown(getattr(it.at_target, name), it.target_intervals.of.get(name)) for it in evidence.values()]
        yield (name, *cells)


def _interval(evidence: Evidence | None, name: str) -> Interval | None:
    return None if evidence is None else evidence.intervals.get(name)
