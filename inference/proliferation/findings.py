"""What is told of slides that were graded by their mitoses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inference.proliferation.classifier import GradedSlides
from inference.report_parts import (
    Report,
    csv_text,
    left_out_notes,
    left_out_sections,
    left_out_values,
    shown,
    with_interval,
)
from inference.run_output import LeftOut
from training.findings import Findings, Section, Table
from training.grades import grade_agreement, grade_intervals
from training.intervals import Intervals

_COLUMNS: Final = ("slide_id", "split", "label", "class", "judged", "judged_class")


@dataclass(frozen=True, eq=False)
class Graded:
    """The slides of a run.

    Attributes:
        slide_ids: their names, rising.
        splits: (n,) str.
        truth: (n,) grades, -1 where none is known.
        graded: what the classifier says.
    """

    slide_ids: Sequence[str]
    splits: NDArray[np.str_]
    truth: NDArray[np.int64]
    graded: GradedSlides


def proliferation_report(
    slides: Graded, left_out: tuple[LeftOut, ...], classes: Sequence[str], seed: int, title: str
) -> Report:
    """Agreement on the test slides, and of the folds.

    Args:
        slides: graded.
        left_out: those that are not.
        classes: names of the grades.
        seed: of the recipe.
        title: heading.
    """
    test = (slides.splits == "test") & (slides.truth >= 0)
    truth, judged = slides.truth[test], slides.graded.grades[test]
    measures: dict[str, float | None] = {"kappa": None, "spearman": None}
    sure = Intervals({}, "no number: no slide of the test split has a label")
    if test.any():
        found = grade_agreement(truth, judged.astype(np.float64), len(classes))
        measures = {"kappa": found.kappa, "spearman": found.spearman}
        sure = grade_intervals(truth, judged.astype(np.float64), len(classes), seed)
    findings = Findings(
        title=title,
        sections=(_table(slides, measures, sure, test), *left_out_sections(left_out, "slides")),
        notes=(f"Test slides: {sure.note}", *left_out_notes(left_out, ())),
        values=_values(slides, measures, sure, test) | {"left_out": left_out_values(left_out)},
        drawings=(),
        slides=csv_text(_COLUMNS, _rows(slides, classes)),
    )
    return Report(findings, left_out)


def _table(slides: Graded, measures: dict[str, float | None], sure: Intervals, test: NDArray[np.bool_]) -> Section:
    graded = slides.graded
    names = {"kappa": "quadratic weighted kappa, test", "spearman": "Spearman's rho, test"}
    rows = [(name, shown(measures[key], sure.of.get(key))) for key, name in names.items()]
    rows.append((f"quadratic weighted kappa, mean of {graded.folds} folds of training", shown(graded.kappa)))
    rows += [(name.replace("_", " "), f"{count:,}") for name, count in _counts(slides, test).items()]
    settings = ", ".join(f"{name} {value}" for name, value in graded.settings.items())
    text = f"A support vector classifier ({settings}), fitted on the labeled slides outside of the test split."
    return Section("Grades by mitoses", Table(("by the manifest", "all slides"), tuple(rows)), text)


def _values(
    slides: Graded, measures: dict[str, float | None], sure: Intervals, test: NDArray[np.bool_]
) -> dict[str, dict[str, Any]]:
    graded = slides.graded
    judged: dict[str, dict[str, Any]] = {
        name: with_interval(value, sure.of.get(name)) | {"note": sure.note} for name, value in measures.items()
    }
    fitted = {"kappa": graded.kappa, "folds": graded.folds, "settings": dict(graded.settings)}
    return judged | {"cross_validation": fitted, "slides": _counts(slides, test)}


def _counts(slides: Graded, test: NDArray[np.bool_]) -> dict[str, int]:
    labeled = slides.truth >= 0
    return {"slides": len(labeled), "fitted_slides": int((labeled & ~test).sum()), "test_slides": int(test.sum())}


def _rows(slides: Graded, classes: Sequence[str]) -> list[tuple[object, ...]]:
    all_of_slide = zip(slides.slide_ids, slides.splits, slides.truth, slides.graded.grades, strict=True)
    return [
        (name, split, *((label, classes[label]) if label >= 0 else (None, None)), grade, classes[grade])
        for name, split, label, grade in all_of_slide
    ]
