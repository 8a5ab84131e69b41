"""Where bfloat16 is off by more than a recipe allows, it is so for undecided windows, and those are computed again."""

import math
from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.engines.agreement import agreement
from inference.engines.base import Images, regrouped
from inference.engines.mixed_precision import MixedPrecision


def logistic(odds: NDArray[np.float64]) -> NDArray[np.float32]:
    return (1 / (1 + np.exp(-odds))).astype(np.float32)


class Told:
    """Answers from a list by the window's first gray level, and remembers which windows each batch asked for."""

    def __init__(self, answers: NDArray[np.float32]) -> None:
        self.answers = answers
        self.asked: list[list[int]] = []

    def predict(self, batches: Iterable[Images]) -> NDArray[np.float32]:
        return np.concatenate([np.zeros(0, np.float32), *map(self.judge, batches)])

    def judge(self, images: Images) -> NDArray[np.float32]:
        numbers = images[0][:, 0, 0, 0]
        assert np.array_equal(numbers, images[1][:, 0, 0, 0])
        self.asked.append(numbers.tolist())
        return self.answers[numbers].copy()


def batches_of(*groups: Iterable[int]) -> Iterable[Images]:
    """Windows of one pixel, each batch in the memory of the last one."""
    memory = np.zeros((9, 1, 1, 1), np.uint8)
    for group in groups:
        numbers = list(group)
        memory[: len(numbers), 0, 0, 0] = numbers
        yield [memory[: len(numbers)], memory[: len(numbers)]]


def test_only_windows_in_doubt_are_computed_again() -> None:
    quick = Told(np.array([0.01, 0.05, 0.5, 0.95, 0.99], np.float32))
    exact = Told(np.array([0.9, 0.04, 0.6, 0.96, 0.1], np.float32))
    got = MixedPrecision(quick, exact, 0.05, 8).predict(batches_of(range(5)))
    np.testing.assert_array_equal(got, np.array([0.01, 0.04, 0.6, 0.96, 0.99], np.float32))
    assert (quick.asked, exact.asked) == ([[0, 1, 2, 3, 4]], [[1, 2, 3]])


def test_windows_in_doubt_are_gathered_over_batches() -> None:
    quick = Told(np.array([0.5, 0.01, 0.5, 0.5, 0.01, 0.5, 0.99, 0.5, 0.01], np.float32))
    exact = Told(np.arange(9, dtype=np.float32) / 10)
    got = MixedPrecision(quick, exact, 0.05, 2).predict(batches_of([0, 1, 2], [3, 4], [6], [5, 7, 8]))
    np.testing.assert_array_equal(got, np.array([0, 0.01, 0.2, 0.3, 0.01, 0.99, 0.5, 0.7, 0.01], np.float32))
    assert exact.asked == [[0, 2], [3, 5], [7]]


def test_no_windows_have_no_answers() -> None:
    none = Told(np.zeros(0, np.float32))
    assert MixedPrecision(none, none, 0.02, 8).predict([]).shape == (0,)


def test_sure_windows_are_not_computed_again() -> None:
    quick, exact = Told(np.array([0.001, 0.999], np.float32)), Told(np.zeros(2, np.float32))
    MixedPrecision(quick, exact, 0.02, 8).predict(batches_of(range(2)))
    assert exact.asked == []


@pytest.mark.parametrize("sizes", [(1, 1, 1), (7,), (2, 0, 5, 1), (3, 3), ()])
def test_regrouped_batches_are_full_and_keep_their_order(sizes: tuple[int, ...]) -> None:
    bounds = np.cumsum((0, *sizes)).tolist()
    groups = [range(start, start + size) for start, size in zip(bounds, sizes, strict=False)]
    kept = [[scale.copy() for scale in images] for images in batches_of(*groups)]
    got = [images[0][:, 0, 0, 0].tolist() for images in regrouped(kept, 3)]
    assert [number for batch in got for number in batch] == list(range(sum(sizes)))
    assert all(len(batch) == 3 for batch in got[:-1])
    assert all(got)


@pytest.mark.parametrize("moved", [0.05, 0.2, 0.8])
def test_what_stays_of_a_known_error_of_the_log_odds_is_within_the_tolerance(moved: float) -> None:
    """Truth by construction: log odds of all sizes, each moved by up to a known amount."""
    rng = np.random.default_rng(5)
    odds = rng.normal(0, 12, 100_000)
    exact, quick = logistic(odds), logistic(odds + rng.uniform(-moved, moved, len(odds)))
    found = agreement(exact[:256], quick[:256], quick[:256], 0.01)
    assert np.abs(exact - quick).max() > 0.01
    assert found.precision == "mixed"
    left = (quick < found.doubt) | (quick > 1 - found.doubt)
    assert np.abs(exact - quick)[left].max() <= 0.01
    assert left.mean() > 0.6
    assert found.share == pytest.approx(1 - left.mean(), abs=0.1)


def test_a_model_that_decides_nothing_is_computed_in_float32() -> None:
    odds = np.linspace(-1, 1, 200)
    quick = logistic(odds + 0.1)
    found = agreement(logistic(odds), quick, quick, 0.01)
    assert (found.precision, found.share) == ("float32", 1.0)


def test_where_no_window_can_be_off_by_the_tolerance_nothing_is_computed_twice() -> None:
    odds = np.linspace(-6, 6, 200)
    quick = logistic(odds + 0.02)
    assert agreement(logistic(odds), quick, quick, 0.01).precision == "bfloat16"


def test_decided_windows_that_move_far_bring_no_others_into_doubt() -> None:
    """As trained models do: the more decided, the further bfloat16 moves a window, which changes little there."""
    rng = np.random.default_rng(7)
    odds = rng.normal(0, 12, 50_000)
    moved = (0.1 + odds**2 / 60) * rng.uniform(-1, 1, len(odds))
    exact, quick = logistic(odds), logistic(odds + moved)
    least = np.argsort(np.abs(quick[:1024] - 0.5))[:256]
    found = agreement(exact[least], quick[least], quick[:1024], 0.01)
    left = (quick < found.doubt) | (quick > 1 - found.doubt)
    assert found.precision == "mixed"
    assert np.abs(exact - quick).max() > 0.02
    assert np.abs(exact - quick)[left].max() <= 0.01
    assert found.share == pytest.approx(1 - left.mean(), abs=0.1)
    if_all_moved_as_far = 4 + 2 * math.log(10)
    assert -math.log(found.doubt) < if_all_moved_as_far


def test_windows_that_are_sure_and_wrong_end_it() -> None:
    odds = np.linspace(-9, 9, 200)
    quick = logistic(odds)
    exact = quick.copy()
    exact[3] = 0.9
    assert agreement(exact, quick, quick, 0.01).precision == "float32"
