"""How well slides are graded where classes are grades, such as the tumor scores of TUPAC16.

Pure functions of the true and of the expected grade of each slide; intervals by bootstrap over slides, see `intervals`.
"""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from training.intervals import FEWEST, Intervals, draw_counts, percentile_interval, sample_note, slide_draws


@dataclass(frozen=True)
class GradeAgreement:
    """How well expected grades agree with the true ones.

    Attributes:
        kappa: Cohen's, with quadratic weights, of the rounded expected grades; 1 is perfect, 0 is chance. None where
            truth and answers are all of the same one grade.
        spearman: rank correlation of the expected grades, not rounded; None where either is the same for all.
    """

    kappa: float | None
    spearman: float | None


def expected_grade(probabilities: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(n,) mean grade, 0 to K - 1, from (n, K) probabilities, lowest grade first."""
    return probabilities.astype(np.float64) @ np.arange(probabilities.shape[1])


def nearest_grade(expected: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) whole grades; halves go up."""
    return np.floor(expected + 0.5).astype(np.int64)


def grade_agreement(
    truth: NDArray[np.integer[Any]], expected: NDArray[np.floating[Any]], classes: int
) -> GradeAgreement:
    """Agreement of some slides' grades.

    Args:
        truth: (n,) of 0 to classes - 1, at least one.
        expected: (n,) of 0 to classes - 1, see `expected_grade`.
        classes: how many grades there are.
    """
    graded = nearest_grade(np.asarray(expected, np.float64))
    kappa = None
    if len(np.unique(np.concatenate([truth, graded]))) > 1:
        # Imported here: it takes a second, which whoever only reads a model's card need not pay.
        score = importlib.import_module("sklearn.metrics").cohen_kappa_score
        kappa = float(score(truth, graded, weights="quadratic", labels=np.arange(classes)))
    varied = len(np.unique(truth)) > 1 and len(np.unique(expected)) > 1
    return GradeAgreement(kappa, float(spearmanr(truth, expected).statistic) if varied else None)


def grade_intervals(
    truth: NDArray[np.integer[Any]], expected: NDArray[np.floating[Any]], classes: int, seed: int
) -> Intervals:
    """Intervals of `kappa` and `spearman`; a resample in which one is not defined is left out of it.

    Args:
        truth, expected, classes: as of `grade_agreement`; slides in the order of their names.
        seed: of the recipe; the slides drawn are those of `intervals.patch_intervals`.

    Returns:
        None of them where a grade has too few slides. Memory: 1,000 times the number of slides, float64, a few times.
    """
    slides_of = np.bincount(truth, minlength=classes)
    present = np.flatnonzero(slides_of)
    note = sample_note(len(truth), slides_of[present].tolist(), " and ".join(f"{{}} of grade {it}" for it in present))
    if len(present) == 1 or slides_of[present].min() < FEWEST:
        return Intervals({}, note)
    counts = draw_counts(slide_draws(len(truth), seed))
    values = {
        "kappa": _resampled_kappas(truth, nearest_grade(np.asarray(expected, np.float64)), classes, counts),
        "spearman": _resampled_correlations(truth, expected, counts),
    }
    return Intervals({name: percentile_interval(of) for name, of in values.items() if np.isfinite(of).any()}, note)


def _resampled_kappas(
    truth: NDArray[np.integer[Any]], graded: NDArray[np.int64], classes: int, counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(resamples,): 1 less the squared error over that of chance, NaN where chance makes none."""
    true, given = (counts @ np.eye(classes)[grades] for grades in (truth, graded))
    error = counts @ (truth - graded).astype(np.float64) ** 2
    weights = (np.arange(classes)[:, np.newaxis] - np.arange(classes)) ** 2
    by_chance: NDArray[np.float64] = ((true @ weights) * given).sum(axis=1) / len(truth)
    lost = np.divide(error, by_chance, out=np.full(len(counts), np.nan), where=by_chance > 0)
    return np.subtract(1, lost)


def _resampled_correlations(
    truth: NDArray[np.integer[Any]], expected: NDArray[np.floating[Any]], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(resamples,): Pearson's correlation of the ranks, each slide as often as it was drawn; NaN where it has none."""
    # The middle rank of any resample is half its size, which leaves the deviations.
    one, other = (_resampled_ranks(values, counts) - len(truth) / 2 for values in (truth, expected))
    both, first, second = ((counts * product).sum(axis=1) for product in (one * other, one**2, other**2))
    spread = np.sqrt(first * second)
    return np.divide(both, spread, out=np.full(len(counts), np.nan), where=spread > 0)


def _resampled_ranks(values: NDArray[Any], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(resamples, n): of each slide the number drawn below it and half of those drawn beside it."""
    order = np.argsort(values, kind="stable")
    _, starts, group = np.unique(values[order], return_index=True, return_inverse=True)
    drawn = np.add.reduceat(counts[:, order], starts, axis=1)
    ranks = np.empty_like(counts)
    ranks[:, order] = (np.cumsum(drawn, axis=1) - drawn / 2)[:, group]
    return ranks
