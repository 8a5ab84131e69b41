"""A slide's numbers are those that arithmetic gives."""

import numpy as np
import pytest

from inference.probability_map import ProbabilityMap
from inference.scores import slide_score

# 5 of 6 cells judged, 3 of them at or above one half.
VALUES = np.array([[0.25, 0.5, np.nan], [0.9375, 0.4375, 0.75]], np.float32)


def test_score_is_the_maximum_and_areas_are_cells_in_square_millimeters() -> None:
    score = slide_score("s", ProbabilityMap(VALUES, (0.0, 0.0), 200.0), 2, 0.5, 0.25, "model")
    assert score.score == 0.9375
    assert score.tissue_area_mm2 == pytest.approx(5 * 0.05 * 0.05)  # 200 px of 0.25 um are 0.05 mm
    assert score.positive_area_mm2 == pytest.approx(3 * 0.05 * 0.05)
    assert score.lesions == 2


def test_areas_are_unknown_where_the_resolution_is() -> None:
    score = slide_score("s", ProbabilityMap(VALUES, (0.0, 0.0), 200.0), 2, 0.5, None, "model")
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
        }
    ]


def test_nothing_positive_is_an_area_of_zero() -> None:
    score = slide_score("s", ProbabilityMap(VALUES, (0.0, 0.0), 200.0), 0, 0.95, 0.25, "model")
    assert score.positive_area_mm2 == 0.0
