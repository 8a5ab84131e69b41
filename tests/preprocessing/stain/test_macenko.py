"""Macenko finds stains that are known, leaves the reference as it is, and equals the method done step by step."""

import numpy as np
import pytest

from preprocessing.stain.errors import StainError
from preprocessing.stain.macenko import MIN_PIXELS
from preprocessing.stain.normalization import StainProfile, estimate_stain, normalize
from preprocessing.tiling_settings import Stain
from tests.preprocessing.stain import slow

MACENKO = Stain(method="macenko")
REFERENCE = np.stack([slow.HEMATOXYLIN, slow.EOSIN], axis=1)
PURPLER = np.array([[0.65, 0.27], [0.70, 0.57], [0.29, 0.78]])
PURPLER /= np.linalg.norm(PURPLER, axis=0)
PALER = np.array([[0.50, 0.36], [0.75, 0.86], [0.43, 0.36]])
PALER /= np.linalg.norm(PALER, axis=0)


def profile_of(rgb: np.ndarray) -> StainProfile:
    profile = estimate_stain(rgb, rgb.min(axis=-1) < 230, MACENKO)
    assert profile is not None
    return profile


def vectors(profile: StainProfile) -> np.ndarray:
    return np.array(profile.values[:6]).reshape(2, 3).T


def test_an_image_of_the_published_stains_gives_them_back_and_stays_as_it_is() -> None:
    rgb = slow.stained(REFERENCE, (0.84, 0.62))
    profile = profile_of(rgb)
    for column in range(2):
        assert slow.angle(vectors(profile)[:, column], REFERENCE[:, column]) < 1
    np.testing.assert_allclose(profile.values[6:], slow.SATURATION, rtol=0.03)
    assert np.abs(normalize(rgb, profile).astype(int) - rgb).mean() < 2


@pytest.mark.parametrize("stains", [PURPLER, PALER], ids=["purple", "pale"])
@pytest.mark.parametrize("strength", [(0.9, 0.8), (1.3, 0.7)])
def test_the_stains_of_a_drawn_slide_are_found(stains: np.ndarray, strength: tuple[float, float]) -> None:
    """And normalizing brings the slide to what it would be in the reference's stains and saturation."""
    profile = profile_of(slow.stained(stains, strength))
    for column in range(2):
        assert slow.angle(vectors(profile)[:, column], stains[:, column]) < 2
    as_reference = slow.stained(REFERENCE, (0.84, 0.62))
    before = np.abs(slow.stained(stains, strength).astype(int) - as_reference).mean()
    after = np.abs(normalize(slow.stained(stains, strength), profile).astype(int) - as_reference).mean()
    assert after < 4
    assert after < before / 4


@pytest.mark.parametrize("seed", range(3))
def test_estimate_and_transform_equal_the_method_step_by_step(seed: int) -> None:
    rgb = slow.stained(PURPLER, (1.0, 0.8), seed=seed)
    rgb = np.clip(rgb + np.random.default_rng(seed).normal(0, 4, rgb.shape), 0, 255).astype(np.uint8)
    profile = profile_of(rgb)
    stains, saturation = slow.macenko_fit(rgb[rgb.min(axis=-1) < 230])
    np.testing.assert_allclose(vectors(profile), stains, atol=1e-5)
    np.testing.assert_allclose(profile.values[6:], saturation, atol=1e-5)
    every_color = np.random.default_rng(9).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    for image in (rgb, every_color):
        wanted = slow.macenko(image, stains, saturation)
        difference = np.abs(normalize(image, profile) - wanted)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.02  # at the edges of rounding


def test_white_stays_white() -> None:
    profile = profile_of(slow.stained(PURPLER, (1.0, 0.8)))
    assert (normalize(np.full((5, 5, 3), 255, np.uint8), profile) == 255).all()


def test_slides_without_two_stains_are_refused_with_a_remedy() -> None:
    one = slow.stained(np.stack([PURPLER[:, 0], PURPLER[:, 0]], axis=1), (0.9, 0.9))
    with pytest.raises(StainError, match=r"only one stain.*Choose tiling"):
        profile_of(one)
    gray = np.repeat(np.random.default_rng(1).integers(20, 150, (100, 100, 1), dtype=np.uint8), 3, axis=2)
    with pytest.raises(StainError, match="only one stain"):
        profile_of(gray)


def test_too_little_tissue_is_refused_with_a_remedy() -> None:
    rgb = slow.stained(REFERENCE, (0.84, 0.62))
    few = np.zeros(rgb.shape[:2], bool)
    few[150, : MIN_PIXELS // 2] = True
    for tissue in (few, np.zeros_like(few)):
        with pytest.raises(StainError, match=r"stained pixels in the tissue .* Macenko needs 200; .* Choose tiling"):
            estimate_stain(rgb, tissue, MACENKO)
    with pytest.raises(StainError, match="0 stained pixels"):
        estimate_stain(np.full_like(rgb, 240), np.ones_like(few), MACENKO)
