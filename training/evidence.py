"""All that is reported of one split beside the plain table: both thresholds, intervals, calibration, slides."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from training.calibration import Reliability, reliability
from training.intervals import Interval, Intervals, patch_intervals, slide_auc_interval
from training.metrics import (
    BinaryMetrics,
    Confusion,
    PrecisionRecallCurve,
    Thresholds,
    binary_metrics,
    confusion,
    precision_recall_points,
)
from training.slide_level import ScoredPatches, SlideRow, slide_auc, slide_rows


@dataclass(frozen=True)
class Evidence:
    """One split looked at closely; `metrics` of the plain table are at the Youden threshold.

    Attributes:
        at_target: the table at the threshold for a wanted sensitivity.
        target_sensitivity: what was wanted, on validation.
        curve: precision and recall.
        reliability: probabilities against outcomes.
        confusion: at the Youden threshold.
        slides: one row per slide, sorted by name, at the Youden threshold.
        slide_auc: over the slides' scores; None where the slides are of one class only.
        patch_intervals, target_intervals, slide_intervals: of the plain table, of `at_target`, and of `slide_auc`.
    """

    at_target: BinaryMetrics
    target_sensitivity: float
    curve: PrecisionRecallCurve
    reliability: Reliability
    confusion: Confusion
    slides: tuple[SlideRow, ...]
    slide_auc: float | None
    patch_intervals: Intervals
    target_intervals: Intervals
    slide_intervals: Intervals

    @property
    def intervals(self) -> dict[str, Interval]:
        """Of the plain table and of `slide_auc`, by the name of the metric."""
        return {**self.patch_intervals.of, **self.slide_intervals.of}

    @property
    def positive_slides(self) -> int:
        """Slides with a positive patch."""
        return sum(row.positive for row in self.slides)


def gather(patches: ScoredPatches, split: str, thresholds: Thresholds, seed: int) -> Evidence:
    """Look closely at one split.

    Args:
        patches: of the split, both classes present.
        split: its name.
        thresholds: chosen on validation.
        seed: of the recipe; it decides which slides are drawn for the intervals.
    """
    labels, probabilities, threshold = patches.labels, patches.probabilities, thresholds.youden
    rows = tuple(slide_rows(patches, split, threshold))
    return Evidence(
        at_target=binary_metrics(labels, probabilities, thresholds.sensitive),
        target_sensitivity=thresholds.target_sensitivity,
        curve=precision_recall_points(labels, probabilities),
        reliability=reliability(labels, probabilities),
        confusion=confusion(labels, probabilities, threshold),
        slides=rows,
        slide_auc=slide_auc(rows),
        patch_intervals=patch_intervals(patches, threshold, seed),
        target_intervals=patch_intervals(patches, thresholds.sensitive, seed),
        slide_intervals=slide_auc_interval(rows, seed),
    )


def as_json(evidence: Evidence) -> dict[str, Any]:
    """The numbers that `metrics.json` adds to the plain ones; `intervals` maps a metric to low and high."""
    return {
        "average_precision": evidence.curve.average_precision,
        "calibration_error": evidence.reliability.expected_error,
        "confusion": asdict(evidence.confusion),
        "slides": len(evidence.slides),
        "positive_slides": evidence.positive_slides,
        "slide_auc": evidence.slide_auc,
        "target_sensitivity": evidence.target_sensitivity,
        "at_target_sensitivity": asdict(evidence.at_target),
        "intervals": _pairs(evidence.intervals),
        "intervals_at_target_sensitivity": _pairs(evidence.target_intervals.of),
        "interval_notes": {
            "patches": evidence.patch_intervals.note,
            "slides": evidence.slide_intervals.note,
        },
    }


def _pairs(intervals: Mapping[str, Interval]) -> dict[str, list[float]]:
    return {name: [interval.low, interval.high] for name, interval in intervals.items()}
