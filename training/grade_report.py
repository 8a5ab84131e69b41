"""What is told of slides where the classes are grades, beside all that is told of classes."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from training.class_report import ClassesJudged, ClassSlide
from training.findings import Findings, Section, Table
from training.grades import GradeAgreement, expected_grade, grade_agreement, grade_intervals
from training.intervals import COVERAGE, Intervals
from training.report_text import shown

_NAMES: Final = {"kappa": "quadratic weighted kappa", "spearman": "Spearman's rho"}


@dataclass(frozen=True)
class GradesJudged:
    """The slides of one split.

    Attributes:
        expected: grade of each slide, in their order.
        agreement: with the true grades.
        intervals: of both measures.
    """

    expected: tuple[float, ...]
    agreement: GradeAgreement
    intervals: Intervals


def judge_grades(slides: Sequence[ClassSlide], seed: int) -> GradesJudged:
    """Judge the slides of one split by the mean probabilities of their patches, which all have the slide's grade.

    Args:
        slides: at least one, sorted by name.
        seed: of the recipe; it decides which slides are drawn for the intervals.
    """
    truth = np.array([it.actual for it in slides]).argmax(axis=1)
    expected = expected_grade(np.array([it.mean_probability for it in slides]))
    classes = len(slides[0].actual)
    return GradesJudged(
        tuple(expected.tolist()),
        grade_agreement(truth, expected, classes),
        grade_intervals(truth, expected, classes, seed),
    )


def with_grades(findings: Findings, sets: Mapping[str, ClassesJudged], seed: int) -> Findings:
    """Add the agreement of grades to what is told of some splits, and to each slide its expected grade.

    Args:
        findings: from `class_report.class_findings`, of the same splits.
        sets: what was judged, by the name of the split.
        seed: of the recipe.
    """
    grades = {name: judge_grades(it.slides, seed) for name, it in sets.items()}
    rows = [
        (title, *(shown(getattr(it.agreement, name), it.intervals.of.get(name)) for it in grades.values()))
        for name, title in _NAMES.items()
    ]
    explained = (
        "The expected grade of a slide is the mean by the mean probabilities of its patches, lowest grade 0; kappa is "
        f"that of the nearest whole grade. In brackets: {COVERAGE:.0%} intervals over slides."
    )
    first, *others = findings.sections
    expected = [value for it in grades.values() for value in it.expected]
    return replace(
        findings,
        sections=(first, Section("Grades of slides", Table(("metric", *sets), tuple(rows)), explained), *others),
        notes=(*findings.notes, *(f"{name}, slides: {it.intervals.note}" for name, it in grades.items())),
        values={name: {**of, **_values(of, grades[name])} for name, of in findings.values.items()},
        slides=_with_column(findings.slides or "", "expected_grade", [f"{value:.6f}" for value in expected]),
    )


def _values(told: Mapping[str, Mapping[str, object]], grades: GradesJudged) -> dict[str, object]:
    sure = {name: [it.low, it.high] for name, it in grades.intervals.of.items()}
    return {
        "kappa": grades.agreement.kappa,
        "spearman": grades.agreement.spearman,
        "intervals": {**told["intervals"], **sure},
        "interval_notes": {**told["interval_notes"], "slides": grades.intervals.note},
    }


def _with_column(text: str, name: str, values: Sequence[str]) -> str:
    changed = io.StringIO()
    writer = csv.writer(changed, lineterminator="\n")
    writer.writerows([*row, value] for row, value in zip(csv.reader(io.StringIO(text)), [name, *values], strict=True))
    return changed.getvalue()
