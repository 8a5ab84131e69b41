"""What is told of lesions and slides: the table, the numbers, the figures, one line a slide and one a lesion."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from inference.evaluation_figures import froc_figure, slide_roc_figure
from inference.froc import RATES, Froc, froc
from inference.judged_lesions import JudgedSlide
from inference.report_parts import (
    csv_text,
    left_out_notes,
    left_out_sections,
    left_out_values,
    shown,
    with_interval,
)
from inference.run_output import LeftOut
from inference.slide_roc import SlideRoc, slide_roc
from training.findings import Drawing, Findings, Section, Table
from training.intervals import Interval

TRUE_LESIONS: Final = "true_lesions.csv"

_SLIDE_COLUMNS = ("slide_id", "tumor", "score", "lesions", "found", "isolated", "false_positives", "empty")
_LESION_COLUMNS = ("slide_id", "x", "y", "major_axis_um", "area_mm2", "isolated", "score")


@dataclass(frozen=True, eq=False)
class LesionEvaluation:
    """The lesions and slides of a run.

    Attributes:
        slides: those that count, by name.
        left_out: those that do not.
        froc: of the lesions.
        roc: of the slides.
    """

    slides: tuple[JudgedSlide, ...]
    left_out: tuple[LeftOut, ...]
    froc: Froc
    roc: SlideRoc


def evaluate_lesions(slides: Sequence[JudgedSlide], left_out: Iterable[LeftOut], seed: int) -> LesionEvaluation:
    """FROC and slide ROC with their intervals.

    Args:
        slides: judged.
        left_out: those that could not be.
        seed: of the recipe.
    """
    ordered = tuple(sorted(slides, key=lambda slide: slide.slide_id))
    lesions = froc([slide.detections for slide in ordered], seed)
    roc = slide_roc([slide.positive for slide in ordered], [slide.score for slide in ordered], seed)
    return LesionEvaluation(ordered, tuple(sorted(left_out, key=lambda it: it.slide_id)), lesions, roc)


def with_lesions(windows: Findings, found: LesionEvaluation, title: str) -> Findings:
    """The findings over windows with those over lesions and slides before them.

    Args:
        windows: of the predicted windows.
        found: of the same run.
        title: of all.
    """
    first, *others = windows.sections
    headed = replace(first, heading="Windows")
    return replace(
        windows,
        title=title,
        sections=(*_sections(found), headed, *others),
        notes=(*windows.notes, *_notes(found)),
        values={**windows.values, **_values(found)},
        drawings=(*_drawings(found, title), *windows.drawings),
        slides=_slides_csv(found.slides),
    )


def lesions_csv(slides: Iterable[JudgedSlide]) -> str:
    """One line for each annotated lesion, with the score it was found with; 0 where it was missed."""
    rows = [
        (
            slide.slide_id,
            round(shape.x),
            round(shape.y),
            f"{shape.major_axis:.1f}",
            f"{shape.area:.6f}",
            int(shape.isolated),
            f"{score:.6f}",
        )
        for slide in slides
        for shape, score in zip(slide.shapes, slide.best.tolist(), strict=True)
    ]
    return csv_text(_LESION_COLUMNS, rows)


def _slides_csv(slides: Iterable[JudgedSlide]) -> str:
    rows = [
        (
            slide.slide_id,
            int(slide.positive),
            f"{slide.score:.6f}",
            len(slide.detections.lesions),
            int((slide.detections.lesions > 0).sum()),
            slide.detections.isolated,
            len(slide.detections.false_positives),
            int(slide.empty),
        )
        for slide in slides
    ]
    return csv_text(_SLIDE_COLUMNS, rows)


def _sections(found: LesionEvaluation) -> tuple[Section, ...]:
    curve = found.froc.curve
    rows = [("slide AUC", shown(found.roc.auc, found.roc.interval))]
    rows.append(("FROC", shown(None if curve is None else curve.score, found.froc.interval)))
    if curve is not None:
        for rate, value in zip(RATES, curve.at().tolist(), strict=True):
            rows.append((f"sensitivity at {rate:g} false positives per slide", shown(value, _at(found.froc, rate))))
    rows += [(name.replace("_", " "), f"{count:,}") for name, count in _counts(found).items()]
    table = Section("Lesions and slides", Table(("as CAMELYON16 counts", "all slides"), tuple(rows)))
    return table, *left_out_sections(found.left_out, "lesions and slides")


def _notes(found: LesionEvaluation) -> tuple[str, ...]:
    empty = [slide.slide_id for slide in found.slides if slide.empty]
    return f"Lesions: {found.froc.note}", f"Slides: {found.roc.note}", *left_out_notes(found.left_out, empty)


def _values(found: LesionEvaluation) -> dict[str, dict[str, Any]]:
    curve = found.froc.curve
    heights = [] if curve is None else curve.at().tolist()
    score = None if curve is None else curve.score
    return {
        "slide_auc": {**with_interval(found.roc.auc, found.roc.interval), "note": found.roc.note},
        "froc": {**with_interval(score, found.froc.interval), "note": found.froc.note},
        "sensitivity_at": {
            f"{rate:g}": with_interval(height, _at(found.froc, rate))
            for rate, height in zip(RATES, heights, strict=bool(heights))
        },
        "slides": dict(_counts(found)),
        "left_out": left_out_values(found.left_out),
    }


def _counts(found: LesionEvaluation) -> dict[str, int]:
    return {
        "slides": len(found.slides),
        "slides_with_tumor": sum(slide.positive for slide in found.slides),
        "slides_without_tissue": sum(slide.empty for slide in found.slides),
        "lesions": sum(len(slide.detections.lesions) for slide in found.slides),
        "lesions_found": sum(int((slide.detections.lesions > 0).sum()) for slide in found.slides),
        "isolated_tumor_cells": sum(slide.detections.isolated for slide in found.slides),
        "false_positives": sum(len(slide.detections.false_positives) for slide in found.slides),
        "slides_left_out": len(found.left_out),
    }


def _drawings(found: LesionEvaluation, title: str) -> tuple[Drawing, ...]:
    drawings = []
    if found.froc.curve is not None:
        heights = zip(RATES, found.froc.curve.at().tolist(), strict=True)
        drawings.append(
            Drawing(
                name="froc",
                caption="FROC curve; the dots are the published operating points, their mean is the FROC.",
                alt="FROC curve. " + ", ".join(f"{height:.4f} at {rate:g}" for rate, height in heights) + ".",
                figure=froc_figure(title, found.froc.curve, found.froc),
            )
        )
    if found.roc.curve is not None:
        drawings.append(
            Drawing(
                name="slide_roc",
                caption="ROC curve of the slide scores; the gray diagonal is guessing.",
                alt=f"ROC curve of slides: AUC {found.roc.auc:.4f}.",
                figure=slide_roc_figure(title, found.roc),
            )
        )
    return tuple(drawings)


def _at(found: Froc, rate: float) -> Interval | None:
    return found.at_rates.get(rate)
