"""Position jitter: whole pixels out of the stored margin, the same way at every scale, and the middle in inference."""

import keras
import numpy as np
import pytest
from keras import ops

from training.augmentation import PatchAugmentation

WINDOW, MARGIN = 8, 4
STORED = WINDOW + 2 * MARGIN


def places(count: int) -> np.ndarray:
    """(count, STORED, STORED, 3): each pixel tells its own row, column and patch, so that a cut tells where it was."""
    rows, columns = np.mgrid[:STORED, :STORED]
    squares = [np.stack([rows, columns, np.full_like(rows, patch)], axis=-1) for patch in range(count)]
    return np.stack(squares).astype(np.float32)


def layer(**settings: object) -> PatchAugmentation:
    return PatchAugmentation(
        **{"orientations": False, "jitter": 4, "window": WINDOW, "ratios": (1.0, 0.5), "seed": 2, **settings}
    )


def cut(images: list[np.ndarray], **settings: object) -> list[np.ndarray]:
    # Brightness, contrast and the rest are off; what is left of them rounds in the last bits.
    return [np.round(ops.convert_to_numpy(out)) for out in layer(**settings)(images, training=True)]


def test_each_patch_is_moved_by_whole_pixels_and_half_as_far_at_half_the_scale() -> None:
    fine, coarse = cut([places(200), places(200)])
    assert fine.shape == (200, WINDOW, WINDOW, 3)
    down, right = (fine[:, 0, 0, axis] - MARGIN for axis in (0, 1))
    assert set(down) == set(right) == set(range(-4, 5))
    for axis, moved in enumerate((down, right)):
        assert np.array_equal(coarse[:, 0, 0, axis] - MARGIN, np.floor(moved / 2 + 0.5))
    for patch in range(200):  # the cut is one square of its own patch
        row, column = int(down[patch]) + MARGIN, int(right[patch]) + MARGIN
        square = places(200)[patch, row : row + WINDOW, column : column + WINDOW]
        assert np.array_equal(fine[patch], square)


def test_inference_takes_the_middle() -> None:
    out = ops.convert_to_numpy(layer()([places(3)], training=False)[0])
    assert np.array_equal(out, places(3)[:, MARGIN:-MARGIN, MARGIN:-MARGIN])


def test_a_margin_without_jitter_is_cut_off() -> None:
    assert np.array_equal(cut([places(3)], jitter=0)[0], places(3)[:, MARGIN:-MARGIN, MARGIN:-MARGIN])


@pytest.mark.parametrize("training", [True, False])
def test_model_with_a_margin_takes_the_stored_patch_and_gives_the_window(training: bool) -> None:
    stored = keras.Input((STORED, STORED, 3))
    model = keras.Model(stored, layer(ratios=(1.0,))([stored])[0])
    assert model.output.shape == (None, WINDOW, WINDOW, 3)
    assert model(places(2), training=training).shape == (2, WINDOW, WINDOW, 3)
