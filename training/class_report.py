"""More than two classes, judged and told: tables, figures and slides of some splits."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import figures
from training.class_metrics import ClassMetrics, class_intervals, class_metrics
from training.findings import Drawing, Findings, Section, Table
from training.intervals import COVERAGE, Intervals
from training.metrics import RocCurve, roc_points
from training.report_text import shown
from training.slide_level import ScoredPatches, by_slide


@dataclass(frozen=True)
class ClassSlide:
    """One slide of a split.

    Attributes:
        slide_id, split: which slide.
        patches: how many were judged.
        accuracy: share of them judged right.
        actual: (K,) patches of each class.
        mean_probability: (K,) over its patches.
    """

    slide_id: str
    split: str
    patches: int
    accuracy: float
    actual: tuple[int, ...]
    mean_probability: tuple[float, ...]


@dataclass(frozen=True)
class ClassesJudged:
    """One split of K classes, judged.

    Attributes:
        metrics: the table.
        intervals: of accuracy and macro AUC.
        slides: sorted by name.
        curves: of each class that is there against the rest, by its name.
    """

    metrics: ClassMetrics
    intervals: Intervals
    slides: tuple[ClassSlide, ...]
    curves: Mapping[str, RocCurve]


def judge_classes(patches: ScoredPatches, split: str, classes: tuple[str, ...], seed: int) -> ClassesJudged:
    """Judge one split.

    Args:
        patches: of the split; probabilities (n, K).
        split: its name.
        classes: K names.
        seed: of the recipe; it decides which slides are drawn for the intervals.
    """
    metrics = class_metrics(patches.labels, patches.probabilities, classes)
    return ClassesJudged(
        metrics=metrics,
        intervals=class_intervals(patches, len(classes), seed),
        slides=tuple(_slide(name, split, mine, len(classes)) for name, mine in by_slide(patches)),
        curves={
            name: roc_points(patches.labels == label, patches.probabilities[:, label])
            for label, name in enumerate(classes)
            if metrics.auc[label] is not None
        },
    )


def class_findings(title: str, sets: Mapping[str, ClassesJudged]) -> Findings:
    """All that is told of some splits of K classes.

    Args:
        title: heading.
        sets: what was judged, by the name of the split; at least one, all of the same classes.
    """
    explained = (
        f"A patch is judged to be of its likeliest class. In brackets: {COVERAGE:.0%} intervals over slides. AUC: each "
        "class against the rest, macro: their mean."
    )
    notes = (
        *(f"{name}, patches: {it.intervals.note}" for name, it in sets.items()),
        "A slide's probabilities are the means over its patches",
        "Accuracy and precision hold for the mix of classes that was judged, see `patches`",
    )
    return Findings(
        title=title,
        sections=(
            Section(None, Table(("metric", *sets), tuple(_overall(sets))), explained),
            *(Section(f"Classes of {name}", _per_class(it.metrics)) for name, it in sets.items()),
        ),
        notes=notes,
        values={name: _values(it) for name, it in sets.items()},
        drawings=_drawings(title, sets),
        slides=_slides_csv(sets),
    )


def _overall(sets: Mapping[str, ClassesJudged]) -> Iterator[tuple[str, ...]]:
    for name in ("accuracy", "balanced_accuracy", "macro_auc", "patches"):
        yield (name, *(shown(getattr(it.metrics, name), it.intervals.of.get(name)) for it in sets.values()))
    yield ("slides", *(shown(len(it.slides)) for it in sets.values()))


def _per_class(metrics: ClassMetrics) -> Table:
    columns = (metrics.auc, metrics.sensitivity, metrics.precision, metrics.support)
    rows = zip(metrics.classes, *columns, strict=True)
    return Table(
        ("class", "auc", "sensitivity", "precision", "patches"),
        tuple((name, *(shown(value) for value in values)) for name, *values in rows),
    )


def _values(judged: ClassesJudged) -> dict[str, Any]:
    return asdict(judged.metrics) | {
        "slides": len(judged.slides),
        "intervals": {name: [it.low, it.high] for name, it in judged.intervals.of.items()},
        "interval_notes": {"patches": judged.intervals.note},
    }


def _drawings(title: str, sets: Mapping[str, ClassesJudged]) -> tuple[Drawing, ...]:
    counts: dict[str, NDArray[np.int64]] = {name: np.array(it.metrics.confusion) for name, it in sets.items()}
    classes = next(iter(sets.values())).metrics.classes
    told = "; ".join(
        f"{name}: accuracy {it.metrics.accuracy:.4f}, macro AUC {shown(it.metrics.macro_auc)}"
        for name, it in sets.items()
    )
    return (
        Drawing(
            name="roc",
            caption="ROC curves of each class against the rest; the gray diagonal is guessing.",
            alt=f"ROC curves. {told}.",
            figure=figures.class_roc_figure(title, {name: it.curves for name, it in sets.items()}),
        ),
        Drawing(
            name="confusion",
            caption="Confusion matrices: a patch is judged to be of its likeliest class; shares are of the actual one.",
            alt=f"Confusion matrices. {told}.",
            figure=figures.class_confusion_figure(title, counts, classes),
        ),
    )


def _slide(name: str, split: str, mine: ScoredPatches, classes: int) -> ClassSlide:
    return ClassSlide(
        slide_id=name,
        split=split,
        patches=len(mine.labels),
        accuracy=float((mine.probabilities.argmax(axis=1) == mine.labels).mean()),
        actual=tuple(np.bincount(mine.labels, minlength=classes).tolist()),
        mean_probability=tuple(mine.probabilities.mean(axis=0, dtype=np.float64).tolist()),
    )


def _slides_csv(sets: Mapping[str, ClassesJudged]) -> str:
    classes = next(iter(sets.values())).metrics.classes
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    per_class = [f"{what}_{name}" for what in ("patches", "mean_probability") for name in classes]
    writer.writerow(["slide_id", "split", "patches", "accuracy", *per_class])
    for it in sets.values():
        for row in it.slides:
            means = [f"{value:.6f}" for value in row.mean_probability]
            writer.writerow([row.slide_id, row.split, row.patches, f"{row.accuracy:.6f}", *row.actual, *means])
    return text.getvalue()
