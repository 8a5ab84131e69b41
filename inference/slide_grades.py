"""Whole slides against the labels that the manifest gives them: AUC, or the agreement of grades."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inference.evaluation_figures import slide_roc_figure
from inference.report_parts import (
    Report,
    csv_text,
    decimal,
    left_out_notes,
    left_out_sections,
    left_out_values,
    shown,
    with_interval,
)
from inference.run_output import LeftOut, RunOutput, SlideOutput
from inference.slide_roc import slide_roc
from preprocessing.recipe import Recipe
from training.findings import Drawing, Findings, Section, Table
from training.grades import grade_agreement, grade_intervals, nearest_grade

_SLIDE_COLUMNS: Final = ("slide_id", "label", "class", "score", "empty")
_GRADE_COLUMNS: Final = ("slide_id", "label", "class", "score", "expected_grade", "judged_class", "empty")


@dataclass(frozen=True, eq=False)
class LabeledSlides:
    """The slides of a run that have a label.

    Attributes:
        outputs: of the model, by name.
        truth: (n,) int64, their labels.
        scores: (n,) float64, 0 to 1.
        left_out: the others.
    """

    outputs: tuple[SlideOutput, ...]
    truth: NDArray[np.int64]
    scores: NDArray[np.float64]
    left_out: tuple[LeftOut, ...]

    @property
    def empty(self) -> list[str]:
        """Names of those in which no tissue was found."""
        return [output.entry.slide_id for output in self.outputs if output.empty]


def labeled_slides(run: RunOutput) -> LabeledSlides:
    """Those slides of a run of which the manifest tells the label."""
    known = sorted((it for it in run.done if it.entry.label is not None), key=lambda it: it.entry.slide_id)
    unknown = (it.entry.slide_id for it in run.done if it.entry.label is None)
    no_truth = (LeftOut(slide_id, "no truth", "the manifest gives it no label") for slide_id in unknown)
    return LabeledSlides(
        outputs=tuple(known),
        truth=np.array([it.entry.label for it in known], np.int64),
        scores=np.array([it.score for it in known], np.float64),
        left_out=tuple(sorted((*run.left_out, *no_truth), key=lambda it: it.slide_id)),
    )


def slide_report(slides: LabeledSlides, recipe: Recipe, title: str) -> Report:
    """All that is told of whole slides.

    Args:
        slides: of the run, at least one with a label.
        recipe: its classes; where they are ordered, grades are compared, else label 0 with all others.
        title: heading.
    """
    told = _of_grades if recipe.tiling.labels.ordered else _of_classes
    found = told(slides, recipe, title)
    counts, out = _counts(slides, recipe.classes), slides.left_out
    findings = replace(
        found,
        sections=(*found.sections, *left_out_sections(out, "slides")),
        notes=(*found.notes, *left_out_notes(out, slides.empty)),
        values={**found.values, "slides": counts, "left_out": left_out_values(out)},
    )
    return Report(findings, out)


def _of_classes(slides: LabeledSlides, recipe: Recipe, title: str) -> Findings:
    first, *others = recipe.classes
    words = f"{{}} {' or '.join(others)} and {{}} {first}"
    roc = slide_roc((slides.truth > 0).tolist(), slides.scores.tolist(), recipe.seed, words)
    rows = (("slide AUC", shown(roc.auc, roc.interval)), *_count_rows(slides, recipe.classes))
    values = {"slide_auc": {**with_interval(roc.auc, roc.interval), "note": roc.note}}
    text = csv_text(
        _SLIDE_COLUMNS, (_row(*it, recipe.classes) for it in zip(slides.outputs, slides.truth, strict=True))
    )
    drawing = Drawing(
        name="slide_roc",
        caption="ROC curve of the slide scores; the gray diagonal is guessing.",
        alt=f"ROC curve of slides: AUC {shown(roc.auc)}.",
        figure=slide_roc_figure(title, roc),
    )
    return Findings(
        title=title,
        sections=(Section("Slides", Table(("by the manifest", "all slides"), rows)),),
        notes=(f"Slides: {roc.note}",),
        values=values,
        drawings=() if roc.curve is None else (drawing,),
        slides=text,
    )


def _of_grades(slides: LabeledSlides, recipe: Recipe, title: str) -> Findings:
    classes = recipe.classes
    expected = slides.scores * (len(classes) - 1)
    graded = nearest_grade(expected)
    agreement = grade_agreement(slides.truth, expected, len(classes))
    sure = grade_intervals(slides.truth, expected, len(classes), recipe.seed)
    measures = {"kappa": agreement.kappa, "spearman": agreement.spearman}
    rows = tuple((_NAMES[name], shown(value, sure.of.get(name))) for name, value in measures.items())
    told = (
        "Kappa is of the nearest grade, Spearman's rho of the expected one: the slide's score times the highest grade."
    )
    section = Section("Grades", Table(("by the manifest", "all slides"), (*rows, *_count_rows(slides, classes))), told)
    values: dict[str, dict[str, Any]] = {
        name: with_interval(value, sure.of.get(name)) | {"note": sure.note} for name, value in measures.items()
    }
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (slides.truth, graded), 1)
    values["confusion"] = dict(zip(classes, confusion.tolist(), strict=True))
    lines = (
        _grade_row(*it, classes) for it in zip(slides.outputs, slides.truth, expected.tolist(), graded, strict=True)
    )
    return Findings(title, (section,), (f"Grades: {sure.note}",), values, (), csv_text(_GRADE_COLUMNS, lines))


_NAMES: Final = {"kappa": "quadratic weighted kappa", "spearman": "Spearman's rho"}


def _count_rows(slides: LabeledSlides, classes: Sequence[str]) -> Iterable[tuple[str, str]]:
    return ((name.replace("_", " "), f"{count:,}") for name, count in _counts(slides, classes).items())


def _counts(slides: LabeledSlides, classes: Sequence[str]) -> dict[str, int]:
    of_class = np.bincount(slides.truth, minlength=len(classes)).tolist()
    return {
        "slides": len(slides.outputs),
        **{f"slides_{name}": count for name, count in zip(classes, of_class, strict=True)},
        "slides_without_tissue": len(slides.empty),
        "slides_left_out": len(slides.left_out),
    }


def _row(output: SlideOutput, label: int, classes: Sequence[str]) -> tuple[object, ...]:
    return output.entry.slide_id, int(label), classes[label], decimal(output.score), int(output.empty)


def _grade_row(
    output: SlideOutput, label: int, expected: float, graded: int, classes: Sequence[str]
) -> tuple[object, ...]:
    *first, empty = _row(output, label, classes)
    return *first, decimal(expected), classes[graded], empty
