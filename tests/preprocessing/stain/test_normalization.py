"""A profile is plain numbers that travel; a pixel becomes the same color anywhere; real slides come closer."""

import pickle
from itertools import combinations
from pathlib import Path

import numpy as np
import openslide
import pytest

from preprocessing.stain.normalization import StainProfile, estimate_stain, normalize
from preprocessing.tiling_settings import Stain
from tests.preprocessing.stain import slow

METHODS = [Stain(method="macenko"), Stain(method="reinhard")]


def noisy() -> np.ndarray:
    rgb = slow.stained(np.array([[0.65, 0.27], [0.70, 0.57], [0.29, 0.78]]), (0.6, 0.5))
    return np.clip(rgb + np.random.default_rng(1).normal(0, 9, rgb.shape), 0, 255).astype(np.uint8)


def test_no_method_means_no_profile() -> None:
    assert estimate_stain(noisy(), np.ones((300, 300), bool), Stain()) is None


@pytest.mark.parametrize("stain", METHODS, ids=lambda stain: stain.method)
def test_a_profile_is_numbers_that_travel(stain: Stain) -> None:
    profile = estimate_stain(noisy(), np.ones((300, 300), bool), stain)
    assert profile is not None
    assert all(type(value) is float and np.isfinite(value) for value in profile.values)
    assert pickle.loads(pickle.dumps(profile)) == profile  # noqa: S301 - as Spark sends it, made here
    again = StainProfile(stain.method, tuple(np.array(profile.values).tolist()))  # as the ledger keeps it
    assert np.array_equal(normalize(noisy(), again), normalize(noisy(), profile))


@pytest.mark.parametrize("stain", METHODS, ids=lambda stain: stain.method)
def test_a_pixel_becomes_the_same_color_in_whatever_block_it_stands(stain: Stain) -> None:
    rgb = noisy()
    profile = estimate_stain(rgb, rgb.min(axis=-1) < 210, stain)
    assert profile is not None
    before, whole = rgb.copy(), normalize(rgb, profile)
    assert (whole.dtype, whole.shape) == (np.uint8, rgb.shape)
    for top, left, height, width in ((0, 0, 1, 1), (7, 11, 13, 17), (100, 3, 200, 1), (299, 0, 1, 300)):
        part = (slice(top, top + height), slice(left, left + width))
        assert np.array_equal(normalize(rgb[part], profile), whole[part])
    assert np.array_equal(normalize(rgb[::-1, ::-1], profile), whole[::-1, ::-1])
    assert normalize(rgb[:0], profile).shape == (0, 300, 3)
    assert np.array_equal(rgb, before)


def level(path: Path, number: int, every: int = 1) -> np.ndarray:
    with openslide.OpenSlide(str(path)) as slide:
        image = slide.read_region((0, 0), number, slide.level_dimensions[number])
    return np.asarray(image.convert("RGB"))[::every, ::every]


def normalized(real: Path, stain: Stain) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pixels of level 1 before and after, by profiles that were estimated on level 2."""
    pairs = []
    for name in ("tumor_101", "tumor_102", "tumor_103", "tumor_104"):
        path = real / "mosaic" / f"{name}.tif"
        coarse, fine = level(path, 2), level(path, 1, every=9)
        profile = estimate_stain(coarse, coarse.min(axis=-1) < 210, stain)
        assert profile is not None
        pairs.append((fine, normalize(fine, profile)))
    return pairs


def test_macenko_brings_the_stains_of_two_groups_of_real_slides_together(real: Path) -> None:
    """Judged by the slow method on pixels that the estimate did not see. Mean colors are no promise of this method."""
    spreads = []
    for turn in (0, 1):
        found = [slow.macenko_fit(pair[turn][pair[0].min(axis=-1) < 210])[0] for pair in normalized(real, METHODS[0])]
        spreads.append([max(slow.angle(a[:, k], b[:, k]) for a, b in combinations(found, 2)) for k in (0, 1)])
    before, after = spreads
    assert after[0] < before[0] / 3
    assert after[1] < before[1] / 3


def test_reinhard_brings_the_colors_of_two_groups_of_real_slides_together(real: Path) -> None:
    spreads = []
    for turn in (0, 1):
        means = [pair[turn][pair[0].min(axis=-1) < 210].mean(axis=0) for pair in normalized(real, METHODS[1])]
        spreads.append(max(float(np.linalg.norm(a - b)) for a, b in combinations(means, 2)))
    before, after = spreads
    assert after < before / 10


@pytest.mark.parametrize("stain", METHODS, ids=lambda stain: stain.method)
def test_glass_of_real_slides_stays_white(real: Path, stain: Stain) -> None:
    for before, after in normalized(real, stain):
        glass = before.min(axis=-1) >= 240
        assert glass.any()
        assert abs(after[glass].mean() - before[glass].mean()) < 3
