"""How the answers of a model are judged: one interface, kept by `two_classes` and by `many_classes`."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.class_metrics import ClassMetrics
from training.findings import Findings
from training.metrics import BinaryMetrics
from training.slide_level import ScoredPatches

Metrics = Mapping[str, BinaryMetrics] | Mapping[str, ClassMetrics]
"""By split."""


class Judging(Protocol):
    """What is decided before a split is judged: the names of the classes, and thresholds where there are any."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names by label."""

    def judged(self, title: str, splits: Mapping[str, ScoredPatches]) -> tuple[Metrics, Findings]:
        """The table of each split, and all that is told of them."""

    def summary(self, patches: ScoredPatches) -> dict[str, float]:
        """A few measures by name, each from 0 to 1 and better when higher; both or all classes are there."""

    def decided(self, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """(n,) judged classes from what the model answered."""

    def of_class(
        self, probabilities: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]
    ) -> NDArray[np.float64]:
        """(n,) probability that the model gave to each patch's class in `labels`."""
