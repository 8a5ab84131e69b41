"""Masks made strip by strip equal, in every pixel, those of whole images; also where strips are a few rows high."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from preprocessing.tissue_rules import strips
from preprocessing.tissue_rules.blur import blurred
from preprocessing.tissue_rules.color import saturation, value_and_chroma
from preprocessing.tissue_rules.disks import close, dilate, erode
from preprocessing.tissue_rules.glass_edge import beyond_glass_edge
from preprocessing.tissue_rules.marks import colorless
from preprocessing.tissue_rules.otsu import otsu_tissue, otsu_tissue_of_strips
from preprocessing.tissue_rules.pen import pen_ink
from preprocessing.tissue_rules.pieces import large_pieces, pieces_around, without_small_holes
from preprocessing.tissue_rules.quality import usable
from tests.preprocessing.tissue import scenes
from tests.preprocessing.tissue_rules import whole_images


def marked() -> np.ndarray:
    """Tissue with strokes of every ink across it, a cross, and a blurred part."""
    light = scenes.slide(1)
    light[420:] = ndimage.gaussian_filter(light[420:], (2, 2, 0))
    for number, ink in enumerate(scenes.INKS):
        cover = scenes.stroke([(40 + 90 * number, 20), (250, 300), (460 - 120 * number, 580)], 9 + 3 * number)
        light = scenes.absorb(light, cover[..., None] * scenes.INKS[ink])
    light[scenes.cross((60, 80))] = (28, 19, 25)
    return light


def stripes() -> np.ndarray:
    """Ragged lines of stain two pixels apart, with holes that cross many strips."""
    rng = np.random.default_rng(4)
    light = scenes.glass(400, 300)
    light[:, ::20] = light[:, 1::20] = light[::90] = (160, 90, 150)
    light[rng.random((400, 300)) < 0.02] = (150, 60, 140)
    return light


def specks() -> np.ndarray:
    """Colors by chance."""
    return np.random.default_rng(5).integers(0, 256, (90, 330, 3), np.uint8)


def cube() -> np.ndarray:
    """Every pair of value and chroma, black and gray among them."""
    value, chroma = np.divmod(np.arange(1 << 16), 256)
    least = np.maximum(value - chroma, 0)
    return np.stack([value, least, least], axis=-1).astype(np.uint8).reshape(256, 256, 3)


PICTURES = (scenes.slide, marked, stripes, specks, cube)
every_picture = pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.__name__)


@pytest.fixture(params=[1, 3000, strips.STRIP_PIXELS])
def strip_pixels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """One row, a few rows, all rows."""
    monkeypatch.setattr(strips, "STRIP_PIXELS", request.param)
    return request.param


@every_picture
@pytest.mark.parametrize("mpp", [4.1, None])
@pytest.mark.usefixtures("strip_pixels")
def test_otsu(picture: Callable[[], np.ndarray], mpp: float | None) -> None:
    light = picture()
    expected = whole_images.otsu(light, mpp)
    assert np.array_equal(otsu_tissue(light, mpp), expected)
    in_parts = otsu_tissue_of_strips(light.shape[:2], iter(np.split(light, [1, 50, 83])), mpp)
    assert np.array_equal(in_parts, expected)


@every_picture
@pytest.mark.parametrize("mpp", [4.1, 8.0])
@pytest.mark.usefixtures("strip_pixels")
def test_quality(picture: Callable[[], np.ndarray], mpp: float) -> None:
    light = picture()
    ink, dark = whole_images.pen(light, mpp), whole_images.colorless(light, mpp)
    assert np.array_equal(pen_ink(light, mpp), ink)
    assert np.array_equal(colorless(light, mpp), dark)
    bad = ink | blurred(light, mpp) | whole_images.marks(dark, mpp)
    stained = whole_images.saturation(light) > 255 * 0.07
    bad |= beyond_glass_edge(dark, stained & ~bad, mpp)
    assert np.array_equal(usable(light, mpp), ~bad)


def test_the_marked_picture_has_something_for_every_rule() -> None:
    light = marked()
    dark = whole_images.colorless(light, 8.0)
    found = [whole_images.pen(light, 8.0), whole_images.marks(dark, 8.0), blurred(light, 8.0)]
    assert all(0.01 < mask.mean() < 0.9 for mask in found)


def masks() -> list[np.ndarray]:
    """Chance of several densities, a serpent through all rows, nested frames, and the smallest."""
    rng = np.random.default_rng(6)
    found = [rng.random((70, 53)) < density for density in (0.0, 0.05, 0.3, 0.41, 0.5, 0.6, 0.95, 1.0)]
    serpent = np.zeros((60, 41), bool)
    serpent[:, ::2] = True
    serpent[0, 1::4] = serpent[-1, 3::4] = True
    y, x = np.mgrid[-30:31, -30:31]
    frames = np.maximum(abs(y), abs(x)) % 4 < 2
    comb = np.arange(64)[None, :] % 2 == np.zeros((50, 1))
    comb[-1] = True
    small = [rng.random(shape) < 0.5 for shape in ((1, 1), (1, 30), (30, 1), (2, 3))]
    return [*found, serpent, ~serpent, frames, comb, *small]


@pytest.mark.parametrize("mask", masks(), ids=range(len(masks())))
@pytest.mark.parametrize("size", [1, 2, 9, 200])
@pytest.mark.usefixtures("strip_pixels")
def test_pieces_and_holes(mask: np.ndarray, size: int) -> None:
    before = mask.copy()
    assert np.array_equal(large_pieces(mask, size), whole_images.large(mask, size))
    assert np.array_equal(without_small_holes(mask, size), whole_images.filled(mask, size))
    seeds = mask & (np.random.default_rng(7).random(mask.shape) < 0.3)
    found = pieces_around(mask.shape, lambda rows: mask[rows], lambda rows: seeds[rows], size)
    assert np.array_equal(found, whole_images.around(mask, seeds, size))
    assert np.array_equal(mask, before)


@pytest.mark.parametrize("mask", masks(), ids=range(len(masks())))
@pytest.mark.parametrize("radius", [0, 1, 4, 7])
@pytest.mark.usefixtures("strip_pixels")
def test_disks(mask: np.ndarray, radius: int) -> None:
    assert np.array_equal(dilate(mask, radius), whole_images.dilate(mask, radius))
    assert np.array_equal(erode(mask, radius), ~whole_images.dilate(~mask, radius))
    assert np.array_equal(close(mask, radius), whole_images.close(mask, radius))


def test_saturation_is_the_floor_of_the_exact_ratio() -> None:
    assert np.array_equal(saturation(*value_and_chroma(cube())), whole_images.saturation(cube()))
