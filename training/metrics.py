"""How well probabilities tell two classes apart: thresholds, the reported table, and the curves."""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


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

    @property
    def accuracy(self) -> float:
        """Share of patches judged right."""
        negatives = self.patches - self.positives
        return (self.sensitivity * self.positives + self.specificity * negatives) / self.patches


@dataclass(frozen=True)
class RocCurve:
    """Points of a ROC curve from (0, 0) to (1, 1): float64 arrays of equal length."""

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Points of a precision-recall curve, recall falling from 1 to 0: float64 arrays of equal length.

    Attributes:
        recall, precision: one point per distinct probability, and (0, 1) at the end.
        average_precision: area under the steps: the sum over the points of precision times gain in recall.
    """

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    average_precision: float


@dataclass(frozen=True)
class Thresholds:
    """Where to cut, chosen on validation alone.

    Attributes:
        youden: see `youden_threshold`; the one of the reported table.
        sensitive: see `sensitivity_threshold`.
        target_sensitivity: what `sensitive` was chosen for.
    """

    youden: float
    sensitive: float
    target_sensitivity: float


@dataclass(frozen=True)
class Confusion:
    """How many patches were judged how at one threshold."""

    true_negatives: int
    false_positives: int
    false_negatives: int
    true_positives: int


def area_under_roc(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """How often a positive has the higher probability than a negative; ties count half.

    Args:
        labels: (n,) of 0 and 1, both present.
        probabilities: (n,) of the positive class.
    """
    return float(_sklearn().roc_auc_score(labels, probabilities))


def roc_points(labels: ArrayLike, probabilities: ArrayLike) -> RocCurve:
    """The ROC curve.

    Args:
        labels: (n,) of 0 and 1, both present.
        probabilities: (n,) of the positive class.
    """
    false_positive, true_positive, _ = _sklearn().roc_curve(labels, probabilities)
    return RocCurve(false_positive, true_positive)


def precision_recall_points(labels: ArrayLike, probabilities: ArrayLike) -> PrecisionRecallCurve:
    """The precision-recall curve.

    Args:
        labels: (n,) of 0 and 1, both present.
        probabilities: (n,) of the positive class.
    """
    precision, recall, _ = _sklearn().precision_recall_curve(labels, probabilities, drop_intermediate=True)
    return PrecisionRecallCurve(recall, precision, float(_sklearn().average_precision_score(labels, probabilities)))


def youden_threshold(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """The threshold with the largest sensitivity + specificity - 1 (Youden 1950).

    Args:
        labels: (n,) of 0 and 1, both present.
        probabilities: (n,) of the positive class.

    Returns:
        One of the probabilities; the highest one where several are equally good.
    """
    false_positive, true_positive, thresholds = _sklearn().roc_curve(labels, probabilities, drop_intermediate=False)
    best = 1 + int(np.argmax((true_positive - false_positive)[1:]))  # the first point finds nothing
    return float(thresholds[best])


def sensitivity_threshold(labels: ArrayLike, probabilities: ArrayLike, target: float) -> float:
    """The highest threshold that finds at least a wanted share of the positives.

    Args:
        labels: (n,) of 0 and 1, at least one of them 1.
        probabilities: (n,) of the positive class.
        target: wanted sensitivity, above 0 and at most 1.

    Returns:
        The probability of one of the positives.
    """
    falling = np.sort(np.asarray(probabilities)[np.asarray(labels).astype(bool)])[::-1]
    found = np.arange(1, len(falling) + 1) / len(falling)  # divided as `binary_metrics` does, so 0.55 is reached by 55
    return float(falling[np.argmax(found >= target)])


def choose_thresholds(labels: ArrayLike, probabilities: ArrayLike, target_sensitivity: float) -> Thresholds:
    """Both thresholds; the arguments are those of the validation split, whatever is judged by them afterwards."""
    return Thresholds(
        youden_threshold(labels, probabilities),
        sensitivity_threshold(labels, probabilities, target_sensitivity),
        target_sensitivity,
    )


def confusion(labels: ArrayLike, probabilities: ArrayLike, threshold: float) -> Confusion:
    """Count what was judged how.

    Args:
        labels: (n,) of 0 and 1.
        probabilities: (n,) of the positive class.
        threshold: from which a probability counts as positive.
    """
    actual = np.asarray(labels).astype(bool)
    found = np.asarray(probabilities) >= threshold
    return Confusion(
        true_negatives=int((~actual & ~found).sum()),
        false_positives=int((~actual & found).sum()),
        false_negatives=int((actual & ~found).sum()),
        true_positives=int((actual & found).sum()),
    )


def binary_metrics(labels: ArrayLike, probabilities: ArrayLike, threshold: float) -> BinaryMetrics:
    """The reported table at one threshold.

    Args:
        labels: (n,) of 0 and 1, both present.
        probabilities: (n,) of the positive class.
        threshold: from which a probability counts as positive; best chosen on other data.
    """
    actual = np.asarray(labels).astype(bool)
    counts = confusion(actual, probabilities, threshold)
    positives, found = int(actual.sum()), counts.true_positives + counts.false_positives
    sensitivity = counts.true_positives / positives
    return BinaryMetrics(
        auc=area_under_roc(actual, probabilities),
        threshold=float(threshold),
        sensitivity=sensitivity,
        specificity=counts.true_negatives / (len(actual) - positives),
        recall=sensitivity,
        precision=counts.true_positives / found if found else 0.0,
        patches=len(actual),
        positives=positives,
    )


def _sklearn() -> Any:
    """Imported at the first use: that takes a second, which whoever only reads a model's card need not pay."""
    return importlib.import_module("sklearn.metrics")
