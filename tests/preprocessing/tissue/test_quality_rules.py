"""One painted artifact each: what has to go goes, the tissue beside it stays, blood and nuclei are no ink."""

import numpy as np
import pytest
from scipy import ndimage

from preprocessing.tissue_rules.blur import blurred
from preprocessing.tissue_rules.glass_edge import beyond_glass_edge
from preprocessing.tissue_rules.marks import colorless
from preprocessing.tissue_rules.pen import pen_ink
from preprocessing.tissue_rules.quality import usable
from tests.preprocessing.tissue import scenes

_ACROSS = [(40, 60), (250, 300), (460, 560)]  # over glass and tissue
_BESIDE = [(30, 60), (60, 300), (40, 560)]  # on glass alone


def away(mask: np.ndarray, distance: int = 8) -> np.ndarray:
    return ndimage.distance_transform_edt(~mask) > distance


@pytest.mark.parametrize("seed", range(3))
def test_clean_slide_is_usable_everywhere(seed: int) -> None:
    assert usable(scenes.slide(seed), scenes.MPP).all()


@pytest.mark.parametrize("ink", scenes.INKS)
@pytest.mark.parametrize("layers", [0.9, 1.3])
def test_ink_on_glass_and_on_tissue_is_out(ink: str, layers: float) -> None:
    cover = scenes.stroke(_ACROSS, 40)
    marked = scenes.absorb(scenes.slide(), layers * cover[..., None] * scenes.INKS[ink])
    found, drawn, tissue = usable(marked, scenes.MPP), cover > 0.5, scenes.tissue_place()
    assert not found[drawn & ~tissue].any()
    assert found[drawn & tissue].mean() < (0.15 if ink == "red" else 0.05)
    assert found[away(cover > 0.01)].all()


@pytest.mark.parametrize("ink", ["blue", "green", "black"])
def test_thin_ink_on_glass_is_out(ink: str) -> None:
    cover = scenes.stroke(_BESIDE, 12)
    marked = scenes.absorb(scenes.slide(), 0.5 * cover[..., None] * scenes.INKS[ink])
    found = usable(marked, scenes.MPP)
    assert not found[cover > 0.8].any()
    assert found[scenes.tissue_place()].all()


@pytest.mark.parametrize("color", [(192, 72, 89), (190, 60, 90), (180, 40, 70), (200, 80, 100), (150, 30, 50)])
def test_lake_of_blood_is_no_ink(color: tuple[int, int, int]) -> None:
    thumbnail = scenes.slide()
    noise = np.random.default_rng(1).normal(0, 10, (120, 120, 3))
    thumbnail[240:360, 190:310] = np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)
    assert not pen_ink(thumbnail, scenes.MPP).any()


def test_no_mix_of_hematoxylin_and_eosin_is_ink() -> None:
    doses = np.linspace(0, 2.5, 100)
    nuclei, pink = np.meshgrid(doses, doses)
    absorbed = nuclei[..., None] * scenes.HEMATOXYLIN + pink[..., None] * scenes.EOSIN
    mixes = scenes.absorb(np.full((100, 100, 3), 243.0), absorbed).repeat(4, axis=0).repeat(4, axis=1)
    assert not pen_ink(mixes, scenes.MPP).any()
    assert not colorless(mixes, scenes.MPP).any()


@pytest.mark.parametrize("sigma", [1.5, 2, 4])
def test_blurred_tissue_is_out_and_the_sharp_half_stays(sigma: float) -> None:
    thumbnail = scenes.slide()
    soft = ndimage.gaussian_filter(thumbnail, (sigma, sigma, 0))
    thumbnail[300:] = soft[300:]
    found, tissue = blurred(thumbnail, scenes.MPP), scenes.tissue_place()
    assert found[320:][tissue[320:]].mean() > 0.95
    assert not found[:280][tissue[:280]].any()


def test_cross_is_out_and_tissue_around_it_stays() -> None:
    thumbnail = scenes.slide()
    marked = scenes.cross((60, 80)) | scenes.cross((250, 300))
    thumbnail[marked] = (28, 19, 25)
    found = usable(thumbnail, scenes.MPP)
    assert not found[marked].any()
    assert found[away(marked, 24) & scenes.tissue_place()].all()


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("slope", [-0.01, 0, 0.012])
def test_glass_edge_is_out_with_all_beyond(turn: int, slope: float) -> None:
    thumbnail = scenes.slide()
    depth = 30 + slope * (np.arange(500) - 250)
    rows = np.arange(600)[:, None]
    thumbnail[np.abs(rows - depth) < 2] = (150, 148, 149)
    thumbnail[10:14, 100:140] = (190, 120, 170)  # a colored reflex beyond the edge
    found = np.rot90(usable(np.ascontiguousarray(np.rot90(thumbnail, turn)), scenes.MPP), -turn)
    assert not found[rows < depth + 15].any()
    assert found[60:].all()


def test_margin_wider_than_the_thumbnail_takes_all_of_it() -> None:
    dark = np.zeros((300, 280), bool)
    dark[10:12] = True
    assert beyond_glass_edge(dark, np.zeros_like(dark), 0.25).all()


def test_line_with_tissue_beyond_is_no_glass_edge() -> None:
    dark, stained = np.zeros((600, 500), bool), np.zeros((600, 500), bool)
    dark[30:32], stained[300:500, 100:400] = True, True
    assert beyond_glass_edge(dark, stained, scenes.MPP)[:30].all()
    stained[5:20, 100:400] = True
    assert not beyond_glass_edge(dark, stained, scenes.MPP).any()


def test_gray_glass_is_no_mark_but_a_bubble_on_it_is() -> None:
    thumbnail = (scenes.slide() * 0.8).astype(np.uint8)  # a dim lamp: glass is at 194
    bubble = scenes.stroke([(30, 40), (120, 60), (60, 130), (30, 40)], 6)
    marked = scenes.absorb(thumbnail, bubble[..., None] * np.full(3, 0.6))
    assert usable(thumbnail, scenes.MPP).all()
    assert not usable(marked, scenes.MPP)[bubble > 0.8].any()


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (2, 300), (300, 2)])
def test_smallest_thumbnails_are_judged(shape: tuple[int, int]) -> None:
    assert usable(np.full((*shape, 3), 243, np.uint8), None).all()


def test_thumbnail_is_left_as_it_was() -> None:
    thumbnail = scenes.slide()
    thumbnail.flags.writeable = False
    assert usable(thumbnail, scenes.MPP).all()


@pytest.mark.parametrize("hematoxylin", [(0.65, 0.70, 0.29), (0.70, 0.62, 0.30), (0.72, 0.66, 0.20)])
def test_follicles_blue_with_nuclei_are_no_ink(hematoxylin: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:600, :500]
    follicle = (np.hypot(y - 300, x - 250) < 60) & scenes.tissue_place()
    nuclei = np.where(follicle, 0.9, 0.2) * rng.uniform(0.5, 1.5, follicle.shape) * scenes.tissue_place()
    pink = np.where(follicle, 0.1, 0.35) * rng.uniform(0.5, 1.5, follicle.shape) * scenes.tissue_place()
    absorbed = nuclei[..., None] * np.array(hematoxylin) + pink[..., None] * scenes.EOSIN
    assert usable(scenes.absorb(scenes.glass(), absorbed), scenes.MPP).all()
