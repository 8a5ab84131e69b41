"""Free-response ROC: which share of the lesions is found at how many false positives a slide (CAMELYON16).

The thresholds are the distinct scores without the lowest one. A missed lesion, and isolated tumor cells, stand in
that list with a score of 0, as in the challenge's own program; so the lowest is that 0, unless every lesion was found
and nothing is isolated: then the lowest true score is lost. Kept, so that numbers can be compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cluster.words import counted
from inference.camelyon16 import JudgedDetections
from training.intervals import (
    COVERAGE,
    FEW,
    FEWEST,
    RESAMPLES,
    Interval,
    draw_counts,
    percentile_interval,
    slide_draws,
)

RATES: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives per slide at which the published sensitivities stand."""


@dataclass(frozen=True, eq=False)
class FrocCurve:
    """Points of the curve from (0, 0), both rising.

    Attributes:
        false_positives: (n,) float64, per slide.
        sensitivity: (n,) float64.
    """

    false_positives: NDArray[np.float64]
    sensitivity: NDArray[np.float64]

    def at(self, rates: Sequence[float] | NDArray[np.float64] = RATES) -> NDArray[np.float64]:
        """Sensitivity at some rates of false positives: on the line between points, the last one kept beyond the end.

        Where several points have the same rate, the highest of them counts.
        """
        return np.interp(rates, self.false_positives, self.sensitivity)

    @property
    def score(self) -> float:
        """The mean sensitivity over `RATES`: the FROC of the challenge."""
        return float(self.at().mean())


@dataclass(frozen=True)
class Froc:
    """The curve with its figures.

    Attributes:
        curve: None where no slide holds a lesion that counts.
        interval: of the score; None where too few slides hold lesions.
        at_rates: interval of the sensitivity at each of `RATES`; empty where there is none of the score.
        note: how sure it is, or why there is no number; one sentence.
    """

    curve: FrocCurve | None
    interval: Interval | None
    at_rates: Mapping[float, Interval]
    note: str


@dataclass(frozen=True, eq=False)
class _Scores:
    """All scores of all slides, falling.

    Attributes:
        values: (n,) float64.
        slide_of: (n,) number of the slide.
        found, false: (n,) bool: of a lesion, of a false positive; neither for isolated tumor cells.
        lesions: (slides,) how many count.
    """

    values: NDArray[np.float64]
    slide_of: NDArray[np.int64]
    found: NDArray[np.bool_]
    false: NDArray[np.bool_]
    lesions: NDArray[np.int64]


def froc_curve(slides: Sequence[JudgedDetections]) -> FrocCurve | None:
    """The curve over all slides, those without lesions included; None where none holds a lesion that counts."""
    scores = _pooled(slides)
    return _curve(scores, np.ones(len(slides))) if scores.lesions.any() else None


def froc(slides: Sequence[JudgedDetections], seed: int) -> Froc:
    """The curve and its 95 % intervals by resampling whole slides.

    Args:
        slides: in an order that does not depend on chance, as by name.
        seed: of the recipe.

    Returns:
        Memory: `RESAMPLES` times the slides, and about 100 bytes a detection.
    """
    curve = froc_curve(slides)
    holding = sum(len(slide.lesions) > 0 for slide in slides)
    there = f"{counted(len(slides), 'slide')}, {holding} of them with lesions that count"
    if curve is None:
        return Froc(None, None, {}, f"no FROC: {there}")
    if holding < FEWEST:
        return Froc(curve, None, {}, f"no interval: {there}; at least {FEWEST} are needed")
    narrow = "; with so few they are somewhat too narrow" if holding < FEW else ""
    note = f"{COVERAGE:.0%} intervals from {RESAMPLES:,} resamples of {there}{narrow}"
    values = resampled_sensitivities(slides, draw_counts(slide_draws(len(slides), seed)))
    at_rates = {rate: percentile_interval(column) for rate, column in zip(RATES, values.T, strict=True)}
    return Froc(curve, percentile_interval(values.mean(axis=1)), at_rates, note)


def resampled_sensitivities(slides: Sequence[JudgedDetections], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sensitivity at `RATES` of every resample.

    Args:
        slides: those drawn from.
        counts: (resamples, slides), how often each resample holds each slide.

    Returns:
        (resamples, 6), NaN where a resample holds no lesion that counts.
    """
    scores = _pooled(slides)
    empty = np.full(len(RATES), np.nan)
    return np.stack([_curve(scores, drawn).at() if (drawn @ scores.lesions).any() else empty for drawn in counts])


def _pooled(slides: Sequence[JudgedDetections]) -> _Scores:
    parts: list[tuple[NDArray[np.float64], int, bool, bool]] = []
    for number, slide in enumerate(slides):
        parts += [(slide.lesions, number, True, False), (slide.false_positives, number, False, True)]
        parts.append((np.zeros(slide.isolated), number, False, False))
    sizes = [len(values) for values, *_ in parts]
    values = np.concatenate([values for values, *_ in parts] or [np.zeros(0)])
    order = np.argsort(-values, kind="stable")
    slide_of, found, false = (np.repeat([part[column] for part in parts], sizes)[order] for column in (1, 2, 3))
    lesions = np.array([len(slide.lesions) for slide in slides], np.int64)
    return _Scores(values[order], slide_of.astype(np.int64), found.astype(bool), false.astype(bool), lesions)


def _curve(scores: _Scores, counts: NDArray[np.float64]) -> FrocCurve:
    """The curve where each slide is there some times; at least one that is there holds a lesion."""
    times = counts[scores.slide_of]
    there = times > 0
    values, times = scores.values[there], times[there]
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True))[:-1]  # of each distinct score but the lowest
    false = np.cumsum(times * scores.false[there])[ends] / counts.sum()
    found = np.cumsum(times * scores.found[there])[ends] / (counts @ scores.lesions)
    return FrocCurve(np.append(0.0, false), np.append(0.0, found))
