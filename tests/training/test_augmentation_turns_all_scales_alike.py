"""Augmentation: 8 orientations and bounded color, one draw per patch and the same for all its scales."""

import colorsys

import keras
import numpy as np
import pytest
from keras import ops

from training.augmentation import PatchAugmentation, tinted


def eight_orientations(image: np.ndarray) -> list[np.ndarray]:
    turned = [np.rot90(image, quarter) for quarter in range(4)]
    return turned + [np.fliplr(side) for side in turned]


def patches(count: int, seed: int = 0, side: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3)).astype(np.float32)


def test_every_patch_is_turned_like_its_other_scale_and_all_orientations_occur() -> None:
    fine, coarse = patches(160, seed=1), patches(160, seed=2)
    layer = PatchAugmentation(orientations=True, seed=3)
    turned_fine, turned_coarse = (ops.convert_to_numpy(out) for out in layer([fine, coarse], training=True))
    seen = []
    for patch in range(160):
        found = [
            [np.allclose(side, out, atol=1e-3) for side in eight_orientations(original)].index(True)
            for original, out in ((fine[patch], turned_fine[patch]), (coarse[patch], turned_coarse[patch]))
        ]
        assert found[0] == found[1]
        seen.append(found[0])
    assert set(seen) == set(range(8))


def test_inference_changes_nothing() -> None:
    layer = PatchAugmentation(True, 0.25, 0.25, 0.04, 0.75, seed=3)
    image = patches(4)
    assert np.array_equal(ops.convert_to_numpy(layer([image], training=False)[0]), image)
    assert np.array_equal(ops.convert_to_numpy(layer([image])[0]), image)


def test_brightness_shifts_each_patch_by_its_own_bounded_amount_equal_at_all_scales() -> None:
    gray = np.full((64, 4, 4, 3), 128, np.float32)
    layer = PatchAugmentation(orientations=False, brightness=64 / 255, seed=1)
    fine, coarse = (ops.convert_to_numpy(out) - 128 for out in layer([gray, gray], training=True))
    assert np.allclose(fine, coarse)
    assert np.allclose(fine, fine[:, :1, :1, :1], atol=1e-3)
    shifts = fine[:, 0, 0, 0]
    assert len(np.unique(shifts)) == 64
    assert np.abs(shifts).max() <= 64 + 1e-3
    assert shifts.min() < -40
    assert shifts.max() > 40


def test_contrast_scales_around_the_mean_within_its_bound() -> None:
    image = np.tile(np.array([100, 150], np.float32)[None, None, :, None], (64, 2, 1, 3))
    layer = PatchAugmentation(orientations=False, contrast=0.75, seed=1)
    out = ops.convert_to_numpy(layer([image], training=True)[0])
    factors = (out[:, 0, 1, 0] - out[:, 0, 0, 0]) / 50
    assert np.allclose(out.mean(axis=(1, 2)), 125, atol=1e-2)
    assert 0.25 - 1e-4 <= factors.min() < 0.5
    assert 1.5 < factors.max() <= 1.75 + 1e-4


def test_saturation_and_hue_are_those_of_colorsys() -> None:
    pixels = patches(1, seed=4)[0, :, :1] / 255
    out = ops.convert_to_numpy(tinted(pixels[None], np.float32(0.8), np.float32(0.03)))[0]
    for before, after in zip(pixels[:, 0], out[:, 0], strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before.tolist())
        expected = colorsys.hsv_to_rgb((hue + 0.03) % 1, saturation * 0.8, value)
        assert np.allclose(after, expected, atol=1e-5)


def test_hue_and_saturation_stay_within_their_bounds() -> None:
    color = np.tile(np.array([200, 120, 160], np.float32), (64, 2, 2, 1))
    before = colorsys.rgb_to_hsv(200 / 255, 120 / 255, 160 / 255)
    layer = PatchAugmentation(orientations=False, saturation=0.25, hue=0.04, seed=2)
    out = ops.convert_to_numpy(layer([color], training=True)[0])[:, 0, 0] / 255
    after = np.array([colorsys.rgb_to_hsv(*pixel.tolist()) for pixel in out])
    assert np.abs(after[:, 0] - before[0]).max() <= 0.04 + 1e-4
    assert np.abs(after[:, 1] / before[1] - 1).max() <= 0.25 + 1e-3
    assert np.abs(after[:, 0] - before[0]).max() > 0.03


def test_values_stay_between_0_and_255() -> None:
    layer = PatchAugmentation(True, 0.5, 1.0, 0.5, 1.0, seed=2)
    out = ops.convert_to_numpy(layer([patches(64)], training=True)[0])
    assert out.min() >= 0
    assert out.max() <= 255


def test_the_same_seed_draws_the_same_and_the_next_call_anew() -> None:
    image = patches(32)
    first, again = (PatchAugmentation(True, 0.1, 0.1, 0.02, 0.1, seed=8) for _ in range(2))
    one = ops.convert_to_numpy(first([image], training=True)[0])
    assert np.array_equal(one, ops.convert_to_numpy(again([image], training=True)[0]))
    assert not np.array_equal(one, ops.convert_to_numpy(first([image], training=True)[0]))


@pytest.mark.parametrize("orientations", [True, False])
def test_the_layer_is_rebuilt_from_its_config(orientations: bool) -> None:
    layer = PatchAugmentation(orientations, 0.1, 0.2, 0.03, 0.4, seed=8, name="mine")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    image = patches(8)
    expected = ops.convert_to_numpy(layer([image], training=True)[0])
    assert np.array_equal(ops.convert_to_numpy(again([image], training=True)[0]), expected)
