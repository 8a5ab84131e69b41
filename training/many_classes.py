"""More than two classes: a probability for each, and the likeliest counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.class_metrics import ClassMetrics, class_metrics
from training.class_report import class_findings, judge_classes
from training.findings import Findings
from training.grade_report import with_grades
from training.slide_level import ScoredPatches


@dataclass(frozen=True)
class ManyClasses:
    """Judges by the likeliest class; see `judging.Judging`.

    Attributes:
        classes: names by label.
        seed: of the recipe.
        ordered: they are grades of slides, lowest first.
    """

    classes: tuple[str, ...]
    seed: int
    ordered: bool = False

    def judged(self, title: str, splits: Mapping[str, ScoredPatches]) -> tuple[dict[str, ClassMetrics], Findings]:
        """The table of each split, and all that is told of them."""
        sets = {name: judge_classes(it, name, self.classes, self.seed) for name, it in splits.items()}
        metrics, told = {name: it.metrics for name, it in sets.items()}, class_findings(title, sets)
        return metrics, with_grades(told, sets, self.seed) if self.ordered else told

    def summary(self, patches: ScoredPatches) -> dict[str, float]:
        """Accuracy, balanced accuracy and macro AUC."""
        found = class_metrics(patches.labels, patches.probabilities, self.classes)
        measures = {
            "accuracy": found.accuracy,
            "balanced_accuracy": found.balanced_accuracy,
            "macro_auc": found.macro_auc,
        }
        return {name: value for name, value in measures.items() if value is not None}

    def decided(self, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """(n,) likeliest class, the first of equals; from (n, K) probabilities."""
        return probabilities.argmax(axis=1)

    def of_class(
        self, probabilities: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]
    ) -> NDArray[np.float64]:
        """(n,) probability of each patch's class in `labels`; from (n, K) probabilities."""
        return np.take_along_axis(probabilities, labels[:, np.newaxis], axis=1)[:, 0].astype(np.float64)
