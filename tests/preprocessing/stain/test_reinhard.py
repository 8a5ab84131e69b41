"""Reinhard brings means and deviations to the reference, equals the paper's steps, and leaves glass alone."""

from pathlib import Path

import numpy as np
import openslide
import pytest

from preprocessing.stain.errors import StainError
from preprocessing.stain.normalization import StainProfile, estimate_stain, normalize
from preprocessing.stain.reinhard import GLASS_FROM, REFERENCE, TISSUE_BELOW
from preprocessing.tiling_settings import Stain
from tests.preprocessing.stain import slow

REINHARD = Stain(method="reinhard")
STAINS = np.array([[0.65, 0.27], [0.70, 0.57], [0.29, 0.78]])


def profile_of(rgb: np.ndarray) -> StainProfile:
    profile = estimate_stain(rgb, rgb.min(axis=-1) < TISSUE_BELOW, REINHARD)
    assert profile is not None
    return profile


def statistics(rgb: np.ndarray) -> np.ndarray:
    found = slow.lab(rgb)
    return np.concatenate([found.mean(axis=0), found.std(axis=0)])


def test_estimate_and_transform_equal_the_paper_step_by_step() -> None:
    rgb = slow.stained(STAINS, (0.6, 0.5))
    tissue = rgb[rgb.min(axis=-1) < TISSUE_BELOW]
    profile = profile_of(rgb)
    np.testing.assert_allclose(profile.values, statistics(tissue), atol=1e-5)
    dark = np.random.default_rng(9).integers(0, TISSUE_BELOW + 1, (200, 200, 3), dtype=np.uint8)
    for image in (tissue[None], dark):
        mean, deviation = np.array(profile.values[:3]), np.array(profile.values[3:])
        difference = np.abs(normalize(image, profile) - slow.reinhard(image, mean, deviation, np.array(REFERENCE)))
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.05


def test_statistics_become_those_of_the_reference() -> None:
    rgb = slow.stained(STAINS, (0.35, 0.3))
    tissue = rgb.min(axis=-1) < TISSUE_BELOW
    after = statistics(normalize(rgb, profile_of(rgb))[tissue])
    assert np.abs(after - REFERENCE).max() < np.abs(statistics(rgb[tissue]) - REFERENCE).max() / 10


def test_the_reference_is_the_published_test_slide(real: Path) -> None:
    with openslide.OpenSlide(str(real / "wsi" / "CMU-1-Small-Region.svs")) as slide:
        whole = np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"))
    small = slow.averaged(whole, 16)
    np.testing.assert_allclose(statistics(small[small.min(axis=-1) < 210]), REFERENCE, atol=1e-5)


def test_glass_stays_as_it_is_and_fades_into_tissue() -> None:
    profile = profile_of(slow.stained(STAINS, (0.6, 0.5)))
    ramp = np.repeat(np.arange(180, 256, dtype=np.uint8), 3).reshape(1, -1, 3)
    after = normalize(ramp, profile)
    glass = ramp[0, :, 0] >= GLASS_FROM
    assert np.array_equal(after[0, glass], ramp[0, glass])
    assert np.abs(np.diff(after.astype(int), axis=1)).max() <= 8  # no edge where glass begins


def test_too_little_tissue_or_color_is_refused_with_a_remedy() -> None:
    rgb = slow.stained(STAINS, (0.6, 0.5))
    few = np.zeros(rgb.shape[:2], bool)
    few[200, :100] = True
    with pytest.raises(StainError, match="100 pixels of tissue in the thumbnail, Reinhard needs 200; choose tiling"):
        estimate_stain(rgb, few, REINHARD)
    with pytest.raises(StainError, match="hardly any difference in color"):
        estimate_stain(np.full_like(rgb, 120), np.ones_like(few), REINHARD)
