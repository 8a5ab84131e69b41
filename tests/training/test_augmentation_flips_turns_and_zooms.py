"""Flips, any angle and zoom against NumPy and SciPy: one draw per patch for all its scales, and the margin is used."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from scipy import ndimage

from training.augmentation import PatchAugmentation, turned


def squares(count: int, side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3)).astype(np.float32)


def by_scipy(image: np.ndarray, angle: float, size: float) -> np.ndarray:
    """Bilinear, around the middle, mirrored at the border; rows go down, so a turn to the left has this sign."""
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]) / size
    middle = (np.array(image.shape[:2]) - 1) / 2
    shift = middle - turn @ middle
    channels = [ndimage.affine_transform(one, turn, shift, order=1, mode="reflect") for one in np.moveaxis(image, 2, 0)]
    return np.stack(channels, axis=-1)


def changed(layer: PatchAugmentation, *images: np.ndarray) -> list[np.ndarray]:
    return [ops.convert_to_numpy(out) for out in layer(list(images), training=True)]


@pytest.mark.parametrize("side", [12, 13])
def test_a_turn_with_zoom_is_scipys(side: int) -> None:
    images = squares(6, side)
    angles = np.radians([0, 25, -90, 180, 133, -7]).astype(np.float32)
    sizes = np.array([1, 0.8, 1, 1, 1.5, 0.5], np.float32)
    found = ops.convert_to_numpy(turned(images, angles, sizes))
    for image, angle, size, out in zip(images.astype(np.float64), angles, sizes, found, strict=True):
        np.testing.assert_allclose(out, by_scipy(image, float(angle), float(size)), atol=0.02)
    assert np.array_equal(found[0], images[0])
    np.testing.assert_allclose(found[2], np.rot90(images[2], -1), atol=0.01)


def test_a_turn_can_be_compiled_by_xla_and_is_the_same_in_a_graph() -> None:
    arguments = (squares(2, 9), np.array([0.3, -2.0], np.float32), np.array([0.9, 1.1], np.float32))
    compiled = tf.function(turned, jit_compile=True)(*arguments)
    np.testing.assert_allclose(compiled, turned(*arguments), atol=1e-2)
    stored = keras.Input((9, 9, 3))
    layers = [PatchAugmentation(False, rotation=30, zoom=0.1, flips=True, seed=8) for _ in range(2)]
    model = keras.Model(stored, layers[0]([stored])[0])
    in_graph = tf.function(lambda images: model(images, training=True))(arguments[0])
    np.testing.assert_allclose(in_graph, changed(layers[1], arguments[0])[0], atol=1e-2)


def test_all_scales_turn_alike_by_every_angle_and_size_within_the_bounds() -> None:
    """The turn is read off a ramp: values rise by 1 a pixel to the right, so the slope tells angle and size."""
    ramp = np.tile(np.arange(32, dtype=np.float32)[None, None, :, None], (400, 32, 1, 3)) + 100
    layer = PatchAugmentation(orientations=False, rotation=20, zoom=0.25, window=8, seed=4)
    fine, coarse = changed(layer, ramp, ramp)
    np.testing.assert_allclose(fine, coarse)
    assert fine.shape == (400, 8, 8, 3)
    right, down = fine[:, 4, 5, 0] - fine[:, 4, 4, 0], fine[:, 5, 4, 0] - fine[:, 4, 4, 0]
    angles, sizes = np.degrees(np.arctan2(-down, right)), 1 / np.hypot(right, down)
    for values, low, high in ((angles, -20, 20), (sizes, 0.75, 1.25)):
        assert low - 0.01 <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high + 0.01
    assert abs(np.corrcoef(angles, sizes)[0, 1]) < 0.15


def test_what_turns_in_comes_from_the_stored_margin_and_only_then_from_the_mirror() -> None:
    """White margin around a black window: half a right angle brings the margin into the corners."""
    stored = np.full((1, 24, 24, 3), 255, np.float32)
    stored[:, 4:20, 4:20] = 0
    at_45 = ops.convert_to_numpy(turned(stored, np.array([math.pi / 4], np.float32), np.ones(1, np.float32)))
    window = at_45[0, 4:20, 4:20, 0]
    assert (window[0, 0], window[8, 8]) == (255, 0)
    without_margin = ops.convert_to_numpy(turned(stored[:, 4:20, 4:20], np.array([0.8], np.float32), np.ones(1)))
    assert without_margin.max() == 0


def test_flips_mirror_in_four_ways_and_never_transpose() -> None:
    fine, coarse = squares(120, 6, seed=1), squares(120, 6, seed=2)
    turned_fine, turned_coarse = changed(PatchAugmentation(orientations=False, flips=True, seed=3), fine, coarse)
    seen = []
    for patch in range(120):
        ways = [
            [np.allclose(way, out, atol=1e-3) for way in (it, it[::-1], it[:, ::-1], it[::-1, ::-1])].index(True)
            for it, out in ((fine[patch], turned_fine[patch]), (coarse[patch], turned_coarse[patch]))
        ]
        assert ways[0] == ways[1]
        seen.append(ways[0])
    assert np.bincount(seen, minlength=4).min() > 15


def test_off_changes_no_draw_of_the_others_and_inference_rests() -> None:
    image = squares(16, 10)
    plain = PatchAugmentation(True, 0.1, 0.1, 0.02, 0.1, seed=8)
    off = PatchAugmentation(True, 0.1, 0.1, 0.02, 0.1, seed=8, rotation=0, zoom=0, flips=False)
    assert np.array_equal(changed(plain, image)[0], changed(off, image)[0])
    on = PatchAugmentation(False, rotation=30, zoom=0.1, flips=True, seed=8)
    assert np.array_equal(ops.convert_to_numpy(on([image], training=False)[0]), image)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(on))
    assert again.get_config() == on.get_config()
    assert np.array_equal(changed(on, image)[0], changed(again, image)[0])
