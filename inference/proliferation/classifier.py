"""From the features of slides to their grades: a support vector classifier, chosen by cross-validation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score, make_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from cluster.errors import UsageError

FOLDS: Final = 10
"""As published; fewer where a grade has fewer slides."""

_COSTS: Final = (0.1, 1.0, 10.0, 100.0)
_GRID: Final = (
    {"svc__kernel": ["linear"], "svc__C": list(_COSTS)},
    {"svc__kernel": ["rbf"], "svc__C": list(_COSTS), "svc__gamma": [0.01, 0.1, 1.0]},
)


@dataclass(frozen=True)
class GradedSlides:
    """What the classifier says.

    Attributes:
        grades: (n,) int64, of all slides.
        kappa: mean quadratic weighted kappa of the folds, of the best settings.
        folds: how many there were.
        settings: the best ones.
    """

    grades: NDArray[np.int64]
    kappa: float
    folds: int
    settings: Mapping[str, Any]


def graded_slides(
    features: NDArray[np.float64], truth: NDArray[np.int64], known: NDArray[np.bool_], classes: int, seed: int
) -> GradedSlides:
    """Fit on some slides and grade all; the same slides in the same order give the same grades.

    Args:
        features: (n, k); scaled to mean 0 and deviation 1 over the known ones.
        truth: (n,) grades from 0; of slides that are not known they do not matter.
        known: (n,) bool, those to fit.
        classes: how many grades there are.
        seed: of the folds.

    Raises:
        UsageError: of the known slides all are of one grade, or a grade has one slide only.
    """
    grades, counts = np.unique(truth[known], return_counts=True)
    if len(grades) < 2 or counts.min() < 2:
        told = ", ".join(f"{count} of grade {grade}" for grade, count in zip(grades, counts, strict=True)) or "none"
        raise UsageError(
            f"a classifier needs two grades or more, and two slides or more of each; the training and validation "
            f"splits hold {told}: give labels to more slides, or other splits"
        )
    folds = StratifiedKFold(min(FOLDS, int(counts.min())), shuffle=True, random_state=seed % 2**32)

    def agreement(actual: NDArray[np.int64], judged: NDArray[np.int64]) -> float:
        """0, that of chance, where a fold and its answers are all of one grade."""
        alike = len(np.unique(np.concatenate([actual, judged]))) == 1
        return 0.0 if alike else cohen_kappa_score(actual, judged, weights="quadratic", labels=np.arange(classes))

    search = GridSearchCV(make_pipeline(StandardScaler(), SVC()), list(_GRID), scoring=make_scorer(agreement), cv=folds)
    search.fit(features[known], truth[known])
    settings = {name.removeprefix("svc__"): value for name, value in search.best_params_.items()}
    return GradedSlides(
        search.predict(features).astype(np.int64), float(search.best_score_), folds.get_n_splits(), settings
    )
