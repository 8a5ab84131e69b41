"""The bootstrap draws slides, equals building each resample from its patches, and covers a known truth."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.training.scored import random_slides, scored
from training.intervals import (
    COVERAGE,
    FEWEST,
    RESAMPLES,
    Interval,
    draw_counts,
    pair_wins,
    patch_intervals,
    percentile_interval,
    resampled_metrics,
    slide_auc_interval,
    slide_draws,
)
from training.metrics import binary_metrics
from training.slide_level import ScoredPatches, slide_rows

THRESHOLD = 0.55
PLAIN = ("auc", "sensitivity", "specificity", "recall", "precision", "accuracy")


def error_of_calibration(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """By its definition, bin by bin."""
    error = 0.0
    for number in range(10):
        inside = [k for k, p in enumerate(probabilities) if min(math.floor(float(p) * 10), 9) == number]
        if inside:
            promise, outcome = probabilities[inside].mean(dtype=float), labels[inside].mean()
            error += len(inside) / len(labels) * abs(promise - outcome)
    return error


def rebuilt(patches: ScoredPatches, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of one resample, slide after slide."""
    parts = [np.flatnonzero(patches.slide_ids == patches.slides[slide]) for slide in drawn]
    rows = np.concatenate(parts)
    return patches.labels[rows], patches.probabilities[rows]


def test_every_resample_has_the_metrics_of_its_patches() -> None:
    patches = random_slides(7, 25, seed=3)
    draws = slide_draws(7, seed=1, resamples=60)
    slide_of = np.unique(patches.slide_ids, return_inverse=True)[1]
    fast = resampled_metrics(slide_of, patches.labels, patches.probabilities, THRESHOLD, draw_counts(draws))
    for place, drawn in enumerate(draws):
        labels, probabilities = rebuilt(patches, drawn)
        slow = binary_metrics(labels, probabilities, THRESHOLD)
        for name in PLAIN:
            assert fast[name][place] == pytest.approx(getattr(slow, name), abs=1e-12)
        assert fast["calibration_error"][place] == pytest.approx(error_of_calibration(labels, probabilities), abs=1e-6)


def test_the_interval_is_the_middle_of_those_resamples() -> None:
    patches = random_slides(10, 12, seed=4)
    draws = slide_draws(10, seed=9)
    assert draws.shape == (RESAMPLES, 10)
    found = patch_intervals(patches, THRESHOLD, seed=9)
    resamples = [rebuilt(patches, drawn) for drawn in draws]
    slow = sorted(roc_auc_score(*resample) for resample in resamples if len(set(resample[0])) == 2)
    assert RESAMPLES - 10 < len(slow) < RESAMPLES  # some drew no tumor at all
    tail = int(0.025 * (len(slow) - 1))
    assert slow[tail] <= found.of["auc"].low <= slow[tail + 1]
    assert slow[-tail - 2] <= found.of["auc"].high <= slow[-tail - 1]
    assert found.note == (
        "95% intervals from 1,000 resamples of 10 slides, 5 with positive and 10 with negative patches; with so few "
        "slides they are somewhat too narrow"
    )


def test_a_slide_drawn_twice_counts_twice() -> None:
    assert draw_counts(np.array([[0, 0, 2], [1, 2, 0]])).tolist() == [[2, 0, 1], [1, 1, 1]]


def test_pairs_are_won_by_the_higher_score_and_halved_by_a_tie() -> None:
    slide_of = np.array([0, 0, 0, 1, 1])
    positive = np.array([True, False, True, True, False])
    scores = np.array([0.9, 0.5, 0.2, 0.5, 0.2])
    # Positives of slide 0: 0.9 and 0.2; of slide 1: 0.5. Negatives: 0.5 in slide 0, 0.2 in slide 1.
    assert pair_wins(slide_of, positive, scores, 2).tolist() == [[1, 1.5], [0.5, 1]]


def test_a_resample_without_both_classes_is_left_out() -> None:
    values = resampled_metrics(
        np.array([0, 1, 1]),
        np.array([1, 0, 1], np.int32),
        np.array([0.9, 0.2, 0.7], np.float32),
        0.5,
        np.array([[2.0, 0.0], [1.0, 1.0]]),
    )
    assert all(math.isnan(value[0]) and not math.isnan(value[1]) for value in values.values())
    assert percentile_interval(np.array([np.nan, 0.5, np.nan])) == Interval(0.5, 0.5)


def test_the_seed_decides_and_neither_order_nor_names_of_patches_do() -> None:
    patches = random_slides(12, 20, seed=5)
    mixed = np.random.default_rng(0).permutation(len(patches.labels))
    other = ScoredPatches(patches.slide_ids[mixed], patches.labels[mixed], patches.probabilities[mixed])
    first, again = patch_intervals(patches, THRESHOLD, 1), patch_intervals(other, THRESHOLD, 1)
    for name, interval in first.of.items():
        assert interval.low == pytest.approx(again.of[name].low)
        assert interval.high == pytest.approx(again.of[name].high)
    assert first.of["auc"] != patch_intervals(patches, THRESHOLD, 2).of["auc"]


def test_few_slides_get_a_sentence_instead_of_an_interval() -> None:
    few = {f"tumor_{number}": [(1, 0.9), (0, 0.2), (1, 0.4)] for number in range(FEWEST - 1)}
    found = patch_intervals(scored(few), 0.5, 1)
    assert not found.of
    assert found.note == (
        "no interval: 4 slides, 4 with positive and 4 with negative patches; at least 5 of each are needed"
    )
    enough = patch_intervals(scored({**few, "tumor_9": [(1, 0.3), (0, 0.6)]}), 0.5, 1)
    assert set(enough.of) == {*PLAIN, "calibration_error"}


def test_a_word_of_warning_goes_with_fewer_than_twenty_slides_of_a_class() -> None:
    assert "too narrow" in patch_intervals(random_slides(38, 4, seed=1), 0.5, 1).note
    assert "too narrow" not in patch_intervals(random_slides(40, 4, seed=1), 0.5, 1).note


def test_many_normal_slides_do_not_make_up_for_few_with_tumor() -> None:
    slides = {f"normal_{number}": [(0, 0.1)] for number in range(30)} | {"tumor": [(1, 0.9), (0, 0.2)]}
    assert not patch_intervals(scored(slides), 0.5, 1).of
    rows = slide_rows(scored(slides), "test", 0.5)
    found = slide_auc_interval(rows, 1)
    assert not found.of
    assert found.note == "no interval: 31 slides, 1 positive and 30 negative; at least 5 of each are needed"


def test_the_slide_level_interval_is_that_of_resampled_slide_scores() -> None:
    rows = slide_rows(random_slides(14, 6, seed=8, quality=0.8), "test", 0.5)
    positive, scores = np.array([row.positive for row in rows]), np.array([row.score for row in rows])
    slow = []
    for drawn in slide_draws(14, seed=2):
        if 0 < positive[drawn].sum() < 14:
            slow.append(roc_auc_score(positive[drawn], scores[drawn]))
    low, high = np.quantile(slow, [0.025, 0.975])
    found = slide_auc_interval(rows, seed=2).of["slide_auc"]
    assert (found.low, found.high) == pytest.approx((low, high))
    assert 0 <= found.low < found.high <= 1


def test_intervals_cover_the_truth_about_as_often_as_they_promise() -> None:
    """Sensitivity of slides that differ: in truth 0.7 by construction, though each slide has its own."""
    rng = np.random.default_rng(11)
    covered, trials = {"slides": 0, "patches": 0}, 150
    for trial in range(trials):
        slides = {}
        for number in range(30):
            own = rng.beta(7, 3)  # mean 0.7; patches of one slide go together
            hits = rng.random(20) < own
            slides[f"s{number:02d}"] = [(1, 0.9 if hit else 0.1) for hit in hits] + [(0, 0.1)]
        patches = scored(slides)
        interval = patch_intervals(patches, 0.5, seed=trial).of["sensitivity"]
        covered["slides"] += interval.low <= 0.7 <= interval.high
        found = binary_metrics(patches.labels, patches.probabilities, 0.5).sensitivity
        half = 1.96 * math.sqrt(found * (1 - found) / 600)  # as if the 600 patches were independent
        covered["patches"] += found - half <= 0.7 <= found + half
    assert 0.88 <= covered["slides"] / trials <= 0.99
    assert covered["patches"] / trials < 0.8 < COVERAGE
