"""Agreement of grades: as scikit-learn and SciPy have it, and intervals by really resampling slides."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from training.grades import GradeAgreement, expected_grade, grade_agreement, grade_intervals, nearest_grade
from training.intervals import slide_draws


def graded(slides: int, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """True grades 0 to 2, and expected ones that follow them with noise; some of them are equal."""
    rng = np.random.default_rng(seed)
    truth = np.arange(slides) % 3
    return truth, np.clip(truth + rng.normal(0, 0.8, slides), 0, 2).round(1)


def test_the_expected_grade_is_the_mean_and_halves_go_up() -> None:
    expected = expected_grade(np.array([[0.5, 0.5, 0], [0.2, 0.3, 0.5], [0, 0, 1]], np.float32))
    assert expected == pytest.approx([0.5, 1.3, 2])
    assert nearest_grade(np.array([0.5, 1.3, 1.5, 2.0])).tolist() == [1, 1, 2, 2]


def test_agreement_by_hand() -> None:
    # Squared errors 0, 1, 0, 1 sum to 2; by chance (0, 1, 2, 2 against 0, 2, 2, 1): 0+4+4+1+1+1+1+0+2(4+0+0+1) over 4.
    found = grade_agreement(np.array([0, 1, 2, 2]), np.array([0.1, 1.6, 2.0, 1.2]), 3)
    assert found.kappa == pytest.approx(1 - 2 / (22 / 4))
    assert found.spearman == pytest.approx(spearmanr([1, 2, 3.5, 3.5], [1, 3, 4, 2]).statistic)


def test_the_same_grade_for_all_has_neither_and_one_answer_for_all_is_chance() -> None:
    same = np.ones(4, int)
    assert grade_agreement(same, same.astype(float), 3) == GradeAgreement(None, None)
    assert grade_agreement(np.array([0, 1, 2]), np.ones(3), 3) == GradeAgreement(0.0, None)


def test_intervals_are_those_of_really_resampled_slides() -> None:
    truth, expected = graded(30)
    found = grade_intervals(truth, expected, 3, seed=7)
    kappas, correlations = [], []
    for mine in slide_draws(30, 7):
        rounded = np.floor(expected[mine] + 0.5)
        kappas.append(cohen_kappa_score(truth[mine], rounded, weights="quadratic"))
        correlations.append(spearmanr(truth[mine], expected[mine]).statistic)
    for name, values in (("kappa", kappas), ("spearman", correlations)):
        low, high = np.quantile(values, [0.025, 0.975])
        assert (found.of[name].low, found.of[name].high) == pytest.approx((low, high))
    assert found.note.startswith("95% intervals from 1,000 resamples of 30 slides, 10 of grade 0 and 10 of grade 1")


def test_grades_on_few_slides_get_no_interval() -> None:
    found = grade_intervals(*graded(12), 3, seed=7)
    assert found.of == {}
    assert found.note == (
        "no interval: 12 slides, 4 of grade 0 and 4 of grade 1 and 4 of grade 2; at least 5 of each are needed"
    )
