"""Stain jitter: the published formula in optical density, one draw per patch and the same for all its scales."""

import keras
import numpy as np
import pytest
from keras import ops
from skimage.color import hed2rgb, rgb2hed

from training.augmentation import PatchAugmentation, restained

SKIMAGE_UNIT = -np.log10(1e-6)  # scikit-image counts densities in shares of its darkest pixel, 1e-6


def patches(count: int, side: int = 6, low: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(low, 256, (count, side, side, 3)).astype(np.float32)


def draws(count: int, bound: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    alpha, beta = np.random.default_rng(1).uniform(-bound, bound, (2, count, 3)).astype(np.float32)
    return alpha, beta


def layer(stain: float, seed: int = 3, orientations: bool = False) -> PatchAugmentation:
    return PatchAugmentation(orientations=orientations, stain=stain, seed=seed)


def slow(image: np.ndarray, alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Pixel by pixel: S = OD M^-1, each s (1 + alpha) + beta, P' = 10^-(S' M), with M of Ruifrok and Johnston 2001."""
    stains = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
    out = np.empty(image.shape)
    for place in np.ndindex(image.shape[:3]):
        density = [-np.log10(value / 255) for value in image[place].astype(float)]
        amounts = np.linalg.solve(stains.T, density)
        changed = [amounts[k] * (1 + alpha[place[0], k]) + beta[place[0], k] for k in range(3)]
        mixed = [sum(changed[k] * stains[k, color] for k in range(3)) for color in range(3)]
        out[place] = [min(255 * 10**-value, 255) for value in mixed]
    return out


def test_the_formula_of_the_paper_pixel_by_pixel() -> None:
    image, (alpha, beta) = patches(5), draws(5)
    assert np.allclose(ops.convert_to_numpy(restained(image, alpha, beta)), slow(image, alpha, beta), atol=0.02)


def test_scikit_image_takes_apart_and_mixes_alike() -> None:
    # Colors that stains can mix: scikit-image cuts negative amounts off, the paper does not.
    amounts = np.random.default_rng(2).uniform(0.02, 0.08, (4, 5, 5, 3))
    image = (255 * hed2rgb(amounts)).astype(np.float32)
    alpha, beta = draws(4, 0.1)
    changed = rgb2hed(image / 255) * (1 + alpha)[:, None, None] + beta[:, None, None] / SKIMAGE_UNIT
    assert (changed > 0).all()
    assert np.allclose(ops.convert_to_numpy(restained(image, alpha, beta)), 255 * hed2rgb(changed), atol=0.02)


def test_no_change_gives_the_very_same_pixels_and_black_stays_black() -> None:
    image = patches(3, low=0)
    still = np.zeros((3, 3), np.float32)
    assert np.array_equal(ops.convert_to_numpy(restained(image, still, still)), image)
    black = ops.convert_to_numpy(restained(np.zeros_like(image), *draws(3, 1.0)))
    assert not black.any()


def test_off_draws_nothing_and_leaves_the_other_changes_as_they_were() -> None:
    image = patches(16)
    off = PatchAugmentation(True, 0.1, 0.1, 0.02, 0.1, seed=8, stain=0.0)
    absent = PatchAugmentation(True, 0.1, 0.1, 0.02, 0.1, seed=8)
    outputs = [ops.convert_to_numpy(one([image], training=True)[0]) for one in (off, absent)]
    assert np.array_equal(*outputs)
    assert ops.convert_to_numpy(off.draws.state).tolist() == [8, 2]  # one draw of orientations, one of color


def test_turns_are_the_same_with_and_without_stain() -> None:
    marked = np.full((64, 4, 4, 3), 200, np.float32)
    marked[:, 0, 1] = 20
    plain, stained = (
        ops.convert_to_numpy(layer(stain, orientations=True)([marked], training=True)[0]) for stain in (0.0, 0.05)
    )
    darkest = [out.sum(axis=-1).reshape(64, -1).argmin(axis=1) for out in (plain, stained)]
    assert len(set(darkest[0])) == 8
    assert np.array_equal(*darkest)


def test_each_patch_is_stained_by_its_own_draw_equal_at_all_scales() -> None:
    pink = np.full((32, 4, 4, 3), (220, 140, 180), np.float32)
    fine, coarse = (ops.convert_to_numpy(out) for out in layer(0.05)([pink, pink], training=True))
    assert np.array_equal(fine, coarse)
    assert np.allclose(fine, fine[:, :1, :1], atol=1e-3)
    assert len(np.unique(fine[:, 0, 0], axis=0)) == 32


def test_stains_change_within_their_bound_and_use_it() -> None:
    bound = 0.1
    clear = np.full((256, 1, 1, 3), 100, np.float32)  # dark enough that nothing is cut off at white
    out = ops.convert_to_numpy(layer(bound)([clear], training=True)[0])[:, 0, 0] / 255
    stains = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
    before = np.linalg.solve(stains.T, np.full(3, -np.log10(100 / 255)))
    shift = np.linalg.solve(stains.T, -np.log10(out).T).T - before
    largest = bound * (np.abs(before) + 1)
    assert (np.abs(shift) <= largest + 1e-3).all()
    assert (shift.min(axis=0) < -0.6 * largest).all()
    assert (shift.max(axis=0) > 0.6 * largest).all()


@pytest.mark.parametrize("stain", [0.05, 1.0])
def test_gray_black_and_white_stay_in_range(stain: float) -> None:
    gray = np.repeat(np.linspace(0, 255, 64, dtype=np.float32).reshape(1, 8, 8, 1), 3, axis=-1)
    out = ops.convert_to_numpy(layer(stain)([np.repeat(gray, 64, axis=0)], training=True)[0])
    assert np.isfinite(out).all()
    assert out.min() >= 0
    assert out.max() <= 255


def test_inference_changes_nothing() -> None:
    image = patches(4)
    assert np.array_equal(ops.convert_to_numpy(layer(0.2)([image], training=False)[0]), image)


def test_the_layer_is_rebuilt_from_its_config() -> None:
    first = layer(0.05, seed=8)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(first))
    assert again.get_config() == first.get_config()
    assert again.get_config()["stain"] == 0.05
    image = patches(8)
    outputs = [ops.convert_to_numpy(one([image], training=True)[0]) for one in (first, again)]
    assert np.array_equal(*outputs)
