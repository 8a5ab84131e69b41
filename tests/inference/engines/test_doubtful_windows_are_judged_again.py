"""Where bfloat16 is off by more than a recipe allows, it is so for undecided windows, and those are computed again."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.engines.agreement import agreement
from inference.engines.base import Images
from inference.engines.mixed_precision import MixedPrecision


def logistic(odds: NDArray[np.float64]) -> NDArray[np.float32]:
    return (1 / (1 + np.exp(-odds))).astype(np.float32)


class Told:
    """Answers from a list by the window's first gray level, and remembers which windows it was asked for."""

    def __init__(self, answers: NDArray[np.float32]) -> None:
        self.answers = answers
        self.asked: list[int] = []

    def predict(self, images: Images) -> NDArray[np.float32]:
        numbers = images[0][:, 0, 0, 0]
        self.asked += numbers.tolist()
        return self.answers[numbers].copy()


def test_only_windows_in_doubt_are_computed_again() -> None:
    quick = Told(np.array([0.01, 0.05, 0.5, 0.95, 0.99], np.float32))
    exact = Told(np.array([0.9, 0.04, 0.6, 0.96, 0.1], np.float32))
    windows = [np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1) for _ in range(2)]
    got = MixedPrecision(quick, exact, 0.05).predict(windows)
    np.testing.assert_array_equal(got, np.array([0.01, 0.04, 0.6, 0.96, 0.99], np.float32))
    assert (quick.asked, exact.asked) == ([0, 1, 2, 3, 4], [1, 2, 3])


def test_sure_windows_are_not_computed_again() -> None:
    quick, exact = Told(np.array([0.001, 0.999], np.float32)), Told(np.zeros(2, np.float32))
    MixedPrecision(quick, exact, 0.02).predict([np.arange(2, dtype=np.uint8).reshape(2, 1, 1, 1)])
    assert exact.asked == []


@pytest.mark.parametrize("moved", [0.05, 0.2, 0.8])
def test_what_stays_of_a_known_error_of_the_log_odds_is_within_the_tolerance(moved: float) -> None:
    """Truth by construction: log odds of all sizes, each moved by up to a known amount."""
    rng = np.random.default_rng(5)
    odds = rng.normal(0, 12, 100_000)
    exact, quick = logistic(odds), logistic(odds + rng.uniform(-moved, moved, len(odds)))
    found = agreement(exact[:256], quick[:256], 0.01)
    assert np.abs(exact - quick).max() > 0.01
    assert found.precision == "mixed"
    left = (quick < found.doubt) | (quick > 1 - found.doubt)
    assert np.abs(exact - quick)[left].max() <= 0.01
    assert left.mean() > 0.6
    assert found.share == pytest.approx(1 - left.mean(), abs=0.1)


def test_a_model_that_decides_nothing_is_computed_in_float32() -> None:
    odds = np.linspace(-1, 1, 200)
    found = agreement(logistic(odds), logistic(odds + 0.1), 0.01)
    assert (found.precision, found.share) == ("float32", 1.0)


def test_where_no_window_can_be_off_by_the_tolerance_nothing_is_computed_twice() -> None:
    odds = np.linspace(-6, 6, 200)
    assert agreement(logistic(odds), logistic(odds + 0.02), 0.01).precision == "bfloat16"
