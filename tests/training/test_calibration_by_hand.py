"""Bins and their expected error against arithmetic."""

import numpy as np
import pytest

from training.calibration import bin_of, reliability


def test_a_bin_begins_with_its_own_edge_and_the_last_holds_one() -> None:
    assert bin_of([0.0, 0.0999, 0.1, 0.3, 0.95, 1.0]).tolist() == [0, 0, 1, 3, 9, 9]


def test_the_expected_error_by_hand() -> None:
    labels, probabilities = [0, 1, 1, 1, 0], [0.1, 0.125, 0.75, 0.75, 0.5]
    found = reliability(labels, probabilities)
    assert found.patches.tolist() == [0, 2, 0, 0, 0, 1, 0, 2, 0, 0]
    assert found.mean_probability[[1, 5, 7]] == pytest.approx([0.1125, 0.5, 0.75])
    assert found.positive_share[[1, 5, 7]].tolist() == [0.5, 0, 1]
    assert np.isnan(found.positive_share[0])
    # 2/5 * |0.1125 - 0.5| + 1/5 * |0.5 - 0| + 2/5 * |0.75 - 1|
    assert found.expected_error == pytest.approx(0.155 + 0.1 + 0.1)


def test_a_model_that_keeps_its_promises_has_no_error() -> None:
    assert reliability([1, 0, 0, 0, 1, 1, 1, 0], [0.25] * 4 + [0.75] * 4).expected_error == 0
    assert reliability([0, 1], [0.0, 1.0]).expected_error == 0
    assert reliability([0, 1], [1.0, 0.0]).expected_error == 1
