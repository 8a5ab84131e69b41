"""How well more than two classes are told apart; a patch is judged to be of its likeliest class.

Averages go over the classes that the judged patches have: a class that is not there cannot be missed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.intervals import (
    FEWEST,
    Intervals,
    draw_counts,
    percentile_interval,
    resampled_aucs,
    sample_note,
    slide_draws,
)
from training.metrics import area_under_roc
from training.slide_level import ScoredPatches


@dataclass(frozen=True)
class ClassMetrics:
    """The reported table of K classes; tuples are in the order of `classes`.

    Attributes:
        classes: their names; the label is the place.
        accuracy: share of patches judged right.
        balanced_accuracy: mean sensitivity.
        macro_auc: mean area under the ROC curves of each class against the rest; None where there is one class only.
        auc: of each class against the rest; None where it, or the rest, is not there.
        sensitivity: share of the class that was found; None where it is not there.
        precision: share of what was judged to be the class that is; 0 where nothing was.
        confusion: K rows of actual classes, K columns of judged ones.
        patches: how many were judged.
    """

    classes: tuple[str, ...]
    accuracy: float
    balanced_accuracy: float
    macro_auc: float | None
    auc: tuple[float | None, ...]
    sensitivity: tuple[float | None, ...]
    precision: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]
    patches: int

    @property
    def support(self) -> tuple[int, ...]:
        """Patches of each class."""
        return tuple(sum(row) for row in self.confusion)


def class_confusion(labels: NDArray[np.int32], judged: NDArray[np.integer[Any]], classes: int) -> NDArray[np.int64]:
    """(classes, classes) counts, rows actual and columns judged, from (n,) labels and (n,) judged classes."""
    return np.bincount(labels * classes + judged, minlength=classes**2).reshape(classes, classes)


def class_metrics(
    labels: NDArray[np.int32], probabilities: NDArray[np.floating[Any]], classes: tuple[str, ...]
) -> ClassMetrics:
    """The reported table.

    Args:
        labels: (n,) of 0 to K - 1, at least one.
        probabilities: (n, K); of equally likely classes the first counts.
        classes: K names.
    """
    counts = class_confusion(labels, probabilities.argmax(axis=1), len(classes))
    right, actual, judged = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    sensitivity = [int(hits) / int(all_) if all_ else None for hits, all_ in zip(right, actual, strict=True)]
    aucs = [_one_against_rest(labels == label, probabilities[:, label]) for label in range(len(classes))]
    return ClassMetrics(
        classes=classes,
        accuracy=float(right.sum() / counts.sum()),
        balanced_accuracy=float(np.mean([value for value in sensitivity if value is not None])),
        macro_auc=float(np.mean(there)) if (there := [value for value in aucs if value is not None]) else None,
        auc=tuple(aucs),
        sensitivity=tuple(sensitivity),
        precision=tuple(int(hits) / int(all_) if all_ else 0.0 for hits, all_ in zip(right, judged, strict=True)),
        confusion=tuple(tuple(row) for row in counts.tolist()),
        patches=len(labels),
    )


def class_intervals(patches: ScoredPatches, classes: int, seed: int) -> Intervals:
    """Intervals of `accuracy` and `macro_auc` by bootstrap over slides, see `intervals`.

    A resample that lacks one of the classes is left out of `macro_auc`.

    Args:
        patches: of one split; probabilities (n, K).
        classes: K.
        seed: of the recipe.
    """
    names, slide_of = np.unique(patches.slide_ids, return_inverse=True)
    present = [label for label in range(classes) if (patches.labels == label).any()]
    with_class = [len(np.unique(slide_of[patches.labels == label])) for label in present]
    said = " and ".join(f"{{}} with patches of class {label}" for label in present)
    note = sample_note(len(names), with_class, said)
    if min(with_class) < FEWEST or len(present) == 1:
        return Intervals({}, note)
    counts = draw_counts(slide_draws(len(names), seed))
    right = patches.labels == patches.probabilities.argmax(axis=1)
    accuracy = (counts @ np.bincount(slide_of, right, len(names))) / (counts @ np.bincount(slide_of))
    aucs = [
        resampled_aucs(slide_of, patches.labels == label, patches.probabilities[:, label], counts) for label in present
    ]
    found = {"accuracy": accuracy, "macro_auc": np.mean(aucs, axis=0)}
    return Intervals({name: percentile_interval(values) for name, values in found.items()}, note)


def _one_against_rest(mine: NDArray[np.bool_], scores: NDArray[np.floating[Any]]) -> float | None:
    return area_under_roc(mine, scores) if mine.any() and not mine.all() else None
