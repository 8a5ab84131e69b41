"""A slide's numbers are those that arithmetic gives."""

from typing import Literal

import numpy as np
import pytest

from inference.scores import SlideScore, slide_score
from preprocessing.inference_settings import Inference
from tests.inference.heatmaps.slow import Array, cell_map

# 5 of 6 cells judged, 3 of them at or above one half.
VALUES = np.array([[0.25, 0.5, np.nan], [0.9375, 0.4375, 0.75]], np.float32)


def score_of(
    values: Array, lesions: int, threshold: float, mpp: float | None, kind: Literal["maximum", "mean"] = "maximum"
) -> SlideScore:
    settings = Inference(stride=200, threshold=threshold, slide_score=kind)
    with cell_map(values, (0.0, 0.0), 200.0) as cells:
        return slide_score("s", cells, lesions, settings, mpp, "model", "onnx float32")


def test_score_is_the_maximum_and_areas_are_cells_in_square_millimeters() -> None:
    score = score_of(VALUES, 2, 0.5, 0.25)
    assert score.score == 0.9375
    assert score.tissue_area_mm2 == pytest.approx(5 * 0.05 * 0.05)  # 200 px of 0.25 um are 0.05 mm
    assert score.positive_area_mm2 == pytest.approx(3 * 0.05 * 0.05)
    assert score.lesions == 2


def test_score_may_be_the_mean_of_the_judged_cells() -> None:
    assert score_of(VALUES, 2, 0.5, 0.25, "mean").score == 0.575
    assert score_of(np.full((3, 3), np.nan, np.float32), 0, 0.5, 0.25, "mean").score == 0.0


def test_areas_are_unknown_where_the_resolution_is() -> None:
    score = score_of(VALUES, 2, 0.5, None)
    assert score.tissue_area_mm2 is None
    assert score.positive_area_mm2 is None
    assert score.score == 0.9375
    row = score.table().to_pylist()
    assert row == [
        {
            "slide_id": "s",
            "score": 0.9375,
            "lesions": 2,
            "tissue_area_mm2": None,
            "positive_area_mm2": None,
            "model_id": "model",
            "engine": "onnx float32",
        }
    ]


def test_nothing_positive_is_an_area_of_zero() -> None:
    score = score_of(VALUES, 0, 0.95, 0.25)
    assert score.positive_area_mm2 == 0.0


def test_the_slide_is_as_large_as_it_is() -> None:
    """Cells of many tiles are counted in full."""
    values = np.full((600, 700), 0.25, np.float32)
    values[:, 300:] = 0.75
    values[:100] = np.nan
    values[599, 699] = 0.875
    score = score_of(values, 0, 0.5, 5.0)
    assert score.score == 0.875
    assert score.tissue_area_mm2 == pytest.approx(500 * 700)  # 200 px of 5 um are 1 mm
    assert score.positive_area_mm2 == pytest.approx(500 * 400)


def test_windows_without_any_tissue_in_their_cells_are_a_score_of_zero() -> None:
    score = score_of(np.full((3, 3), np.nan, np.float32), 0, 0.5, 0.25)
    assert (score.score, score.tissue_area_mm2, score.positive_area_mm2) == (0.0, 0.0, 0.0)


def test_a_threshold_that_is_no_float32_counts_what_is_equal() -> None:
    assert score_of(np.float32([[0.3]]), 0, 0.3, 5.0).positive_area_mm2 == pytest.approx(1.0)
