"""The table of metrics as Markdown: one column per judged set, and sentences that tell how sure the numbers are."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields

from training.evidence import Evidence
from training.intervals import COVERAGE, Interval
from training.metrics import BinaryMetrics
from training.slide_level import TOP

_AT_TARGET = ("threshold", "sensitivity", "specificity", "precision")
_Rows = Iterator[tuple[str, list[str]]]


def metrics_table(title: str, sets: Mapping[str, BinaryMetrics], evidence: Mapping[str, Evidence]) -> str:
    """The metrics as Markdown, one column per set.

    Args:
        title: heading.
        sets: metrics by the name of the set.
        evidence: of those sets whose slides are known; rows, a second table and notes come with it.
    """
    plain = f"## {title}\n\n"
    if not evidence:
        return plain + _table(list(sets), _metric_rows(sets, evidence))
    rows = [*_metric_rows(sets, evidence), *_evidence_rows(sets, evidence)]
    target = next(iter(evidence.values())).target_sensitivity
    second = _table(list(evidence), _target_rows(evidence))
    return (
        f"{plain}{_table(list(sets), iter(rows))}\n"
        f"The threshold has the largest Youden index on validation. In brackets: {COVERAGE:.0%} intervals.\n\n"
        f"### At the highest threshold with a sensitivity of at least {target:g} on validation\n\n{second}\n"
        f"{_notes(evidence)}"
    )


def _metric_rows(sets: Mapping[str, BinaryMetrics], evidence: Mapping[str, Evidence]) -> _Rows:
    for name in (field.name for field in fields(BinaryMetrics)):
        yield (
            name,
            [_shown(getattr(metrics, name), _interval(evidence.get(of), name)) for of, metrics in sets.items()],
        )


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
        yield name, [_shown(None if it is None else number(it), _interval(it, name)) for it in found]


def _target_rows(evidence: Mapping[str, Evidence]) -> _Rows:
    for name in _AT_TARGET:
        yield name, [_shown(getattr(it.at_target, name), it.target_intervals.of.get(name)) for it in evidence.values()]


def _table(columns: list[str], rows: _Rows) -> str:
    lines = [f"| metric | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    return "\n".join(lines + [f"| {name} | {' | '.join(values)} |" for name, values in rows]) + "\n"


def _notes(evidence: Mapping[str, Evidence]) -> str:
    lines = [
        f"- {name}, {level}: {note}."
        for name, it in evidence.items()
        for level, note in (("patches", it.patch_intervals.note), ("slides", it.slide_intervals.note))
    ]
    if any(interval.low == interval.high for it in evidence.values() for interval in it.intervals.values()):
        lines.append("- An interval without width only says that no slide drawn differed; other slides may.")
    lines.append(
        f"- A slide is positive where any of its patches is; its score is the mean of its {TOP} highest probabilities."
    )
    lines.append("- Both thresholds were chosen on validation, so what validation says of them is somewhat too good.")
    lines.append("- Precision and calibration hold for the mix of classes that was judged, see `positives`.")
    return "\n".join(lines) + "\n"


def _interval(evidence: Evidence | None, name: str) -> Interval | None:
    return None if evidence is None else evidence.intervals.get(name)


def _shown(value: float | None, interval: Interval | None = None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.5f}" + (f" ({interval.low:.3f} to {interval.high:.3f})" if interval else "")
