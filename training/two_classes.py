"""Two classes: one probability per patch, cut at thresholds that were chosen on validation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from preprocessing.recipe import Recipe
from training.findings import Findings
from training.metrics import BinaryMetrics, Thresholds, binary_metrics, choose_thresholds
from training.report import binary_findings, judge_split
from training.slide_level import ScoredPatches


@dataclass(frozen=True)
class TwoClasses:
    """Judges `probability >= threshold`; see `judging.Judging`.

    Attributes:
        classes: names by label.
        thresholds: chosen on validation.
        seed: of the recipe.
    """

    classes: tuple[str, ...]
    thresholds: Thresholds
    seed: int

    @classmethod
    def chosen_on(cls, validation: ScoredPatches, recipe: Recipe) -> Self:
        """Choose the thresholds on the validation split, whatever is judged by them afterwards."""
        target = recipe.training.target_sensitivity
        chosen = choose_thresholds(validation.labels, validation.probabilities, target)
        return cls(recipe.classes, chosen, recipe.seed)

    def judged(self, title: str, splits: Mapping[str, ScoredPatches]) -> tuple[dict[str, BinaryMetrics], Findings]:
        """The table of each split, and all that is told of them."""
        sets = {name: judge_split(it, name, self.thresholds, self.seed) for name, it in splits.items()}
        return {name: it.metrics for name, it in sets.items()}, binary_findings(title, sets)

    def summary(self, patches: ScoredPatches) -> dict[str, float]:
        """Accuracy, AUC, and sensitivity and specificity at the Youden threshold."""
        found = binary_metrics(patches.labels, patches.probabilities, self.thresholds.youden)
        right = self.decided(patches.probabilities) == patches.labels
        return {
            "accuracy": float(right.mean()),
            "auc": found.auc,
            "sensitivity": found.sensitivity,
            "specificity": found.specificity,
        }

    def decided(self, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """(n,) 1 from the Youden threshold on, else 0; from (n,) probabilities."""
        return (probabilities >= self.thresholds.youden).astype(np.int64)

    def of_class(
        self, probabilities: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]
    ) -> NDArray[np.float64]:
        """(n,) probability of each patch's class in `labels`; from (n,) probabilities of class 1."""
        positive = probabilities.astype(np.float64)
        return np.where(labels == 1, positive, 1 - positive)
