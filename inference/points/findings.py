"""What is told of detections beside points: tables, numbers, the curve over the threshold, and lists of both."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from inference.points.matching import Kind
from inference.points.scores import Counts, JudgedPoints, PointScores, point_scores
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
from inference.run_output import LeftOut
from training.findings import Drawing, Findings, Section, Table

DETECTIONS: Final = "detections.csv"
TRUE_POINTS: Final = "true_points.csv"
THRESHOLDS: Final = "detection_thresholds.csv"

_MEASURES: Final = ("precision", "recall", "f1")
_SLIDE_COLUMNS = ("slide_id", "points", "found", "false_positives", "repeated", *_MEASURES, "score", "empty")
_DETECTION_COLUMNS = ("slide_id", "x", "y", "probability", "kind")
_POINT_COLUMNS = ("slide_id", "x", "y", "class", "found", "probability")
_THRESHOLD_COLUMNS = ("threshold", "found", "false_positives", *_MEASURES)
_WORDS: Final = {Kind.FOUND: "found", Kind.REPEATED: "repeated", Kind.FALSE: "false"}
_COLORS: Final = {"precision": "#0072B2", "recall": "#E69F00", "f1": "#000000"}


@dataclass(frozen=True)
class Asked:
    """By what a run was judged.

    Attributes:
        title: heading.
        radius: from a detection to the point it finds at most, level-0 pixels.
        classes: names by label.
        seed: of the recipe.
    """

    title: str
    radius: int
    classes: tuple[str, ...]
    seed: int


def point_report(slides: Iterable[JudgedPoints], left_out: Iterable[LeftOut], asked: Asked) -> Report:
    """All that is told of some judged slides.

    Args:
        slides: judged, at least one.
        left_out: those that could not be.
        asked: by what.
    """
    ordered = sorted(slides, key=lambda it: it.slide_id)
    others = tuple(sorted(left_out, key=lambda it: it.slide_id))
    scores = point_scores(ordered, asked.seed)
    findings = Findings(
        title=asked.title,
        sections=(_table(ordered, scores, asked), *left_out_sections(others, "detections")),
        notes=_notes(ordered, others, scores),
        values=_values(ordered, scores, asked) | {"left_out": left_out_values(others)},
        drawings=_drawings(asked.title, scores),
        slides=csv_text(_SLIDE_COLUMNS, map(_slide_row, ordered)),
    )
    thresholds = (_threshold_row(*it) for it in zip(scores.thresholds.tolist(), scores.at, strict=True))
    files = {
        DETECTIONS: csv_text(_DETECTION_COLUMNS, (row for slide in ordered for row in _detection_rows(slide))),
        TRUE_POINTS: csv_text(_POINT_COLUMNS, (row for slide in ordered for row in _point_rows(slide, asked.classes))),
        THRESHOLDS: csv_text(_THRESHOLD_COLUMNS, thresholds),
    }
    return Report(findings, others, files)


def _table(slides: Sequence[JudgedPoints], scores: PointScores, asked: Asked) -> Section:
    rows = [
        (name, shown(getattr(scores.counts, name), scores.intervals.of.get(name))) for name in ("f1", *_MEASURES[:2])
    ]
    if scores.best is not None:
        best = scores.at[scores.best]
        rows.append((f"f1 from probability {scores.thresholds[scores.best]:.4f} on, the best", shown(best.f1)))
    rows += [(name.replace("_", " "), f"{count:,}") for name, count in _counts(slides, scores).items()]
    text = (
        f"A detection within {asked.radius} px of a point finds it: the highest first, each point once. Others near "
        "found points count neither way."
    )
    return Section("Detections", Table(("over all points", "all slides"), tuple(rows)), text)


def _notes(slides: Sequence[JudgedPoints], left_out: Iterable[LeftOut], scores: PointScores) -> tuple[str, ...]:
    notes = [f"Detections: {scores.intervals.note}"]
    if scores.best is not None:
        notes.append(
            "The best threshold was chosen on the slides it is told of, so its F1 is too good for others; choose it on "
            "validation slides, and judge test slides at that one by inference.threshold and inference.lesions"
        )
    return (*notes, *left_out_notes(left_out, [slide.slide_id for slide in slides if slide.empty]))


def _values(slides: Sequence[JudgedPoints], scores: PointScores, asked: Asked) -> dict[str, dict[str, Any]]:
    measures = {name: with_interval(getattr(scores.counts, name), scores.intervals.of.get(name)) for name in _MEASURES}
    best = None
    if scores.best is not None:
        at = scores.at[scores.best]
        best = {"threshold": float(scores.thresholds[scores.best]), **{name: getattr(at, name) for name in _MEASURES}}
    return {
        "detections": {**measures, "best": best, "hit_radius": asked.radius, "note": scores.intervals.note},
        "slides": _counts(slides, scores),
    }


def _counts(slides: Sequence[JudgedPoints], scores: PointScores) -> dict[str, int]:
    return {
        "slides": len(slides),
        "slides_with_points": sum(len(slide.points) > 0 for slide in slides),
        "slides_without_tissue": sum(slide.empty for slide in slides),
        "points": scores.counts.points,
        "points_found": scores.counts.found,
        "false_positives": scores.counts.false,
        "repeated_detections": sum(int((slide.matched.kinds == Kind.REPEATED).sum()) for slide in slides),
    }


def _slide_row(slide: JudgedPoints) -> tuple[object, ...]:
    counts, repeated = slide.counts, int((slide.matched.kinds == Kind.REPEATED).sum())
    measures = (decimal(getattr(counts, name)) for name in _MEASURES)
    highest = decimal(float(slide.detections.scores.max(initial=0)))
    return slide.slide_id, counts.points, counts.found, counts.false, repeated, *measures, highest, int(slide.empty)


def _detection_rows(slide: JudgedPoints) -> Iterable[tuple[object, ...]]:
    found = zip(slide.detections.xy.tolist(), slide.detections.scores.tolist(), slide.matched.kinds, strict=True)
    return ((slide.slide_id, round(x), round(y), decimal(score), _WORDS[Kind(kind)]) for (x, y), score, kind in found)


def _point_rows(slide: JudgedPoints, classes: Sequence[str]) -> Iterable[tuple[object, ...]]:
    points = zip(slide.points.tolist(), slide.labels, slide.matched.found, slide.matched.scores.tolist(), strict=True)
    return (
        (slide.slide_id, f"{x:g}", f"{y:g}", classes[label], int(found), decimal(score))
        for (x, y), label, found, score in points
    )


def _threshold_row(threshold: float, counts: Counts) -> tuple[object, ...]:
    return decimal(threshold), counts.found, counts.false, *(decimal(getattr(counts, name)) for name in _MEASURES)


def _drawings(title: str, scores: PointScores) -> tuple[Drawing, ...]:
    if scores.best is None or not scores.counts.points:
        return ()
    best, threshold = scores.at[scores.best], scores.thresholds[scores.best]
    return (
        Drawing(
            name="detection_thresholds",
            caption="Precision, recall and F1 of the detections from each probability on; the dot is the highest F1.",
            alt=f"Detections by threshold: the highest F1 is {best.f1:.4f}, from probability {threshold:.4f} on.",
            figure=_figure(title, scores, scores.best),
        ),
    )


def _figure(title: str, scores: PointScores, best: int) -> Figure:
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")  # not pyplot, which looks for a display
    axes = figure.subplots()
    curves = {
        name: np.array([getattr(it, name) for it in scores.at], np.float64)  # None, where nothing counts, becomes NaN
        for name in _MEASURES
    }
    for name, values in curves.items():
        axes.plot(scores.thresholds, values, color=_COLORS[name], drawstyle="steps-pre", label=name)
    axes.plot(scores.thresholds[best], curves["f1"][best], "o", color=_COLORS["f1"])
    axes.set(title=title, xlabel="least probability of a detection", ylabel="share", ylim=(-0.02, 1.02))
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.legend(loc="best", fontsize=9)
    return figure
