"""How well points are found: precision, recall and F1 over all slides, by threshold, with intervals over slides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cluster.words import counted
from inference.camelyon16 import Detections
from inference.points.matching import Kind, MatchedPoints
from training.intervals import (
    COVERAGE,
    FEW,
    FEWEST,
    RESAMPLES,
    Intervals,
    draw_counts,
    percentile_interval,
    slide_draws,
)


@dataclass(frozen=True, eq=False)
class JudgedPoints:
    """One slide.

    Attributes:
        slide_id: name of the slide.
        points: (m, 2) float64, level-0 pixels.
        labels: (m,) int, class of each.
        detections: of the model.
        matched: both together.
        empty: no tissue was found; it counts as a slide without detections.
    """

    slide_id: str
    points: NDArray[np.float64]
    labels: NDArray[np.int64]
    detections: Detections
    matched: MatchedPoints
    empty: bool

    @property
    def counts(self) -> "Counts":
        """Of all its detections."""
        kinds = self.matched.kinds
        found, false = (int((kinds == kind).sum()) for kind in (Kind.FOUND, Kind.FALSE))
        return Counts(found, false, len(self.points))


@dataclass(frozen=True)
class Counts:
    """What precision, recall and F1 come from.

    Attributes:
        found: points that a detection found.
        false: detections near no point.
        points: all, missed ones too.
    """

    found: int
    false: int
    points: int

    @property
    def precision(self) -> float | None:
        """Share of the detections that found a point, repeated ones left out; None where there is none."""
        return self.found / (self.found + self.false) if self.found + self.false else None

    @property
    def recall(self) -> float | None:
        """Share of the points that were found; None where there is none."""
        return self.found / self.points if self.points else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of both; None where there is neither point nor detection."""
        return (
            2 * self.found / (self.found + self.false + self.points) if self.found + self.false + self.points else None
        )

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.found + other.found, self.false + other.false, self.points + other.points)


@dataclass(frozen=True, eq=False)
class PointScores:
    """All slides together.

    Attributes:
        counts: of all detections.
        intervals: of `precision`, `recall` and `f1`.
        thresholds: (k,) float64, the distinct probabilities of the detections, falling.
        at: the counts of the detections from each of these thresholds on.
    """

    counts: Counts
    intervals: Intervals
    thresholds: NDArray[np.float64]
    at: tuple[Counts, ...]

    @property
    def best(self) -> int | None:
        """Which threshold has the highest F1, the highest of equals; None where nothing was detected."""
        return int(np.argmax([counts.f1 or 0 for counts in self.at])) if self.at else None


def point_scores(slides: Sequence[JudgedPoints], seed: int) -> PointScores:
    """Score a run.

    Args:
        slides: in an order that does not depend on chance, as by name.
        seed: of the recipe.

    Returns:
        Memory: `RESAMPLES` times the slides, and some hundred bytes a distinct probability.
    """
    total = sum((slide.counts for slide in slides), Counts(0, 0, 0))
    scores = np.concatenate([slide.detections.scores for slide in slides] or [np.zeros(0)])
    kinds = np.concatenate([slide.matched.kinds for slide in slides] or [np.zeros(0, np.int64)])
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-1))
    found, false = (np.cumsum(kinds[order] == kind)[ends].tolist() for kind in (Kind.FOUND, Kind.FALSE))
    at = tuple(Counts(hits, wrong, total.points) for hits, wrong in zip(found, false, strict=True))
    return PointScores(total, _intervals(slides, seed), scores[order][ends], at)


def _intervals(slides: Sequence[JudgedPoints], seed: int) -> Intervals:
    holding = sum(len(slide.points) > 0 for slide in slides)
    there = f"{counted(len(slides), 'slide')}, {holding} of them with points"
    if holding < FEWEST:
        return Intervals({}, f"no interval: {there}; at least {FEWEST} are needed")
    narrow = "; with so few they are somewhat too narrow" if holding < FEW else ""
    table = np.array([[it.counts.found, it.counts.false, it.counts.points] for it in slides], np.float64)
    found, false, points = (draw_counts(slide_draws(len(slides), seed)) @ table).T
    values = {
        "precision": _ratio(found, found + false),
        "recall": _ratio(found, points),
        "f1": _ratio(2 * found, found + false + points),
    }
    of = {name: percentile_interval(value) for name, value in values.items() if np.isfinite(value).any()}
    return Intervals(of, f"{COVERAGE:.0%} intervals from {RESAMPLES:,} resamples of {there}{narrow}")


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """NaN where there is no whole: such a resample does not count."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
