"""Per-slide rows and the slide-level score, against numbers worked out by hand."""

import csv
import io

import numpy as np
import pytest

from tests.training.scored import scored
from training.slide_level import ScoredPatches, by_slide, slide_auc, slide_csv, slide_rows, slide_score

SLIDES = {
    "tumor_02": [(1, 0.75), (0, 0.5), (1, 0.25), (0, 0.125)],
    "normal_01": [(0, 0.25), (0, 0.75)],
    "tumor_01": [(1, 0.5), (1, 0.25)],
}


def test_a_row_per_slide_sorted_by_name() -> None:
    normal, first, second = slide_rows(scored(SLIDES), "test", 0.5)
    assert [row.slide_id for row in (normal, first, second)] == ["normal_01", "tumor_01", "tumor_02"]
    assert (normal.patches, normal.positives, normal.positive) == (2, 0, False)
    assert (normal.mean_probability, normal.max_probability) == (0.5, 0.75)
    assert (normal.auc, normal.sensitivity, normal.specificity) == (None, None, 0.5)
    assert (first.auc, first.sensitivity, first.specificity) == (None, 0.5, None)
    # 0.75 beats both negatives, 0.25 beats 0.125 alone: 3 of 4 pairs; the negative at 0.5 is at the threshold.
    assert (second.auc, second.sensitivity, second.specificity) == (0.75, 0.5, 0.5)
    assert (second.mean_probability, second.positive, second.split) == (0.40625, True, "test")


def test_patches_of_a_slide_are_gathered_from_anywhere() -> None:
    together = scored(SLIDES)
    mixed = np.random.default_rng(2).permutation(len(together.labels))
    apart = ScoredPatches(together.slide_ids[mixed], together.labels[mixed], together.probabilities[mixed])
    assert slide_rows(apart, "test", 0.5) == slide_rows(together, "test", 0.5)
    assert [name for name, _ in by_slide(apart)] == together.slides == sorted(SLIDES)


def test_the_score_is_the_mean_of_the_ten_highest() -> None:
    assert slide_score(np.array([0.25, 0.75], np.float32)) == 0.5
    values = np.array([0.0] * 500 + [0.5] * 5 + [1.0] * 5, np.float32)
    assert slide_score(values) == 0.75


def test_slides_are_ranked_by_score() -> None:
    rows = slide_rows(scored(SLIDES), "test", 0.5)
    # Scores: normal 0.5; tumors 0.375 and 0.40625, both below.
    assert slide_auc(rows) == 0
    better = {**SLIDES, "tumor_03": [(1, 1.0)], "normal_02": [(0, 0.375)]}
    # Tumors 0.375, 0.40625, 1 against 0.5 and 0.375: 0.5 + 1 + 2 of 6.
    assert slide_auc(slide_rows(scored(better), "test", 0.5)) == pytest.approx(3.5 / 6)


def test_slides_of_one_class_have_no_slide_level_auc() -> None:
    assert slide_auc(slide_rows(scored({"a": [(1, 0.5), (0, 0.1)], "b": [(1, 0.5)]}), "test", 0.5)) is None


def test_the_csv_leaves_empty_what_is_not_defined() -> None:
    rows = list(csv.DictReader(io.StringIO(slide_csv(slide_rows(scored(SLIDES), "test", 0.5)))))
    assert list(rows[0]) == [
        "slide_id",
        "split",
        "patches",
        "positives",
        "mean_probability",
        "max_probability",
        "score",
        "auc",
        "sensitivity",
        "specificity",
    ]
    assert rows[0] == {
        "slide_id": "normal_01",
        "split": "test",
        "patches": "2",
        "positives": "0",
        "mean_probability": "0.500000",
        "max_probability": "0.750000",
        "score": "0.500000",
        "auc": "",
        "sensitivity": "",
        "specificity": "0.500000",
    }
