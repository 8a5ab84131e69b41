"""How well probabilities tell two classes apart: the table and the curve that are reported."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_auc_score, roc_curve


@dataclass(frozen=True)
class BinaryMetrics:
    """The reported table. Positive means a probability of at least `threshold`.

    Attributes:
        auc: area under the ROC curve.
        threshold: where probabilities are cut.
        sensitivity: share of the positives found.
        specificity: share of the negatives left alone.
        recall: another word for sensitivity, kept because the published table has both.
        precision: share of the found ones that are positive; 0 where nothing is found.
        patches: how many were judged.
        positives: how many of them are positive.
    """

    auc: float
    threshold: float
    sensitivity: float
    specificity: float
    recall: float
    precision: float
    patches: int
    positives: int


@dataclass(frozen=True)
class RocCurve:
    """Points of a ROC curve from (0, 0) to (1, 1): float64 arrays of equal length."""

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]


def roc_points(labels: ArrayLike, probabilities: ArrayLike) -> RocCurve:
    """The ROC curve.

    Args:
        labels: (n,) of 0 and 1, both present.
        probabilities: (n,) of the positive class.
    """
    false_positive, true_positive, _ = roc_curve(labels, probabilities)
    return RocCurve(false_positive, true_positive)


def youden_threshold(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """The threshold with the largest sensitivity + specificity - 1 (Youden 1950).

    Args:
        labels: (n,) of 0 and 1, both present.
        probabilities: (n,) of the positive class.

    Returns:
        One of the probabilities; the highest one where several are equally good.
    """
    false_positive, true_positive, thresholds = roc_curve(labels, probabilities, drop_intermediate=False)
    best = 1 + int(np.argmax((true_positive - false_positive)[1:]))  # the first point finds nothing
    return float(thresholds[best])


def binary_metrics(labels: ArrayLike, probabilities: ArrayLike, threshold: float) -> BinaryMetrics:
    """The reported table at one threshold.

    Args:
        labels: (n,) of 0 and 1, both present.
        probabilities: (n,) of the positive class.
        threshold: from which a probability counts as positive; best chosen on other data.
    """
    actual = np.asarray(labels).astype(bool)
    found = np.asarray(probabilities) >= threshold
    positives, negatives, hits = int(actual.sum()), int((~actual).sum()), int((actual & found).sum())
    sensitivity = hits / positives
    return BinaryMetrics(
        auc=float(roc_auc_score(actual, probabilities)),
        threshold=float(threshold),
        sensitivity=sensitivity,
        specificity=int((~actual & ~found).sum()) / negatives,
        recall=sensitivity,
        precision=hits / int(found.sum()) if found.any() else 0.0,
        patches=len(actual),
        positives=positives,
    )
