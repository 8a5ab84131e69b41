"""The thumbnail rules on real slides: what a person sees on them stays or goes."""

from pathlib import Path

import numpy as np
import openslide
import pytest
from PIL import Image
from scipy import ndimage

from preprocessing.tiling_settings import Tissue
from preprocessing.tissue_rules.otsu import otsu_tissue
from preprocessing.tissue_rules.quality import usable
from preprocessing.tissue_rules.thumbnail_mask import thumbnail_tissue

_MPP = 0.243 * 32
_NODES = {  # x, y of a place inside each lymph node of tumor_001 at level 5
    "top": (1166, 2057),
    "under the top": (1257, 2377),
    "tail": (1531, 2560),
    "ring, left": (430, 2651),
    "ring, right": (869, 2697),
    "hook": (1326, 3566),
    "strip": (790, 3760),
    "at the edge of the slide": (228, 4068),
    "large": (1966, 3977),
    "small": (1637, 4128),
}


def level(path: Path, number: int) -> np.ndarray:
    with openslide.OpenSlide(str(path)) as slide:
        region = slide.read_region((0, 0), number, slide.level_dimensions[number])
    white = Image.new("RGB", region.size, (255, 255, 255))
    white.paste(region, mask=region.getchannel("A"))
    return np.asarray(white)


def shrunk(plane: np.ndarray, factor: int) -> np.ndarray:
    """Area average, (h // factor, w // factor, ...) float."""
    height, width = (extent // factor for extent in plane.shape[:2])
    cut = plane[: height * factor, : width * factor]
    return cut.reshape(height, factor, width, factor, *plane.shape[2:]).mean(axis=(1, 3))


@pytest.fixture(scope="module")
def thumbnail(real: Path) -> np.ndarray:
    return level(real / "camelyon16" / "tumor_001_level5.tif", 0)


@pytest.fixture(scope="module")
def mask(thumbnail: np.ndarray) -> np.ndarray:
    found = thumbnail_tissue(thumbnail, _MPP, Tissue(method="otsu", quality=True))
    assert found is not None
    return found


def test_tumor_is_in(real: Path, mask: np.ndarray) -> None:
    tumor = np.asarray(Image.open(real / "camelyon16" / "tumor_001_level5_mask.png")) > 0
    assert tumor.sum() == 11571
    assert mask[tumor].mean() >= 0.99


@pytest.mark.parametrize("node", _NODES)
def test_every_lymph_node_is_in(mask: np.ndarray, node: str) -> None:
    x, y = _NODES[node]
    assert mask[y - 30 : y + 30, x - 30 : x + 30].mean() > 0.99


def test_all_that_is_deep_purple_is_in(thumbnail: np.ndarray, mask: np.ndarray) -> None:
    coarse = shrunk(thumbnail, 8)
    purple = (coarse[..., 1] < 130) & (coarse[..., 2] - coarse[..., 1] > 15)
    purple[:, :8] = False  # the edge of the slide runs there
    assert purple.sum() > 10_000
    assert shrunk(mask, 8)[purple].mean() > 0.995


def test_marker_crosses_are_out(thumbnail: np.ndarray, mask: np.ndarray) -> None:
    crosses = ndimage.binary_opening(thumbnail[:700].max(axis=-1) < 60, np.ones((9, 9)))
    assert crosses.sum() > 40_000
    assert not mask[:700][ndimage.binary_dilation(crosses, iterations=4)].any()


@pytest.mark.parametrize(
    "place",
    [
        np.s_[:470, :],  # beyond the cover slip
        np.s_[:, :40],  # beyond the left edge, the dark strip of the node there included
        np.s_[5300:, :],  # bare glass and the lower edge
        np.s_[:1500, 700:2200],  # air bubble and its rim
        np.s_[4400:, 2500:],  # glass without a cover slip
        np.s_[1000:1600, 300:2300],  # not scanned
        np.s_[4700:4900, 1200:1700],  # scanned out of focus
    ],
)
def test_glass_edges_bubble_and_blur_are_out(mask: np.ndarray, place: tuple[slice, slice]) -> None:
    assert mask[place].mean() < 1e-4  # three specks of dust have the color of eosin


def test_mask_is_no_more_than_a_tenth_of_the_slide(mask: np.ndarray) -> None:
    assert 0.07 < mask.mean() < 0.1


@pytest.mark.parametrize("name", ["tumor_101", "tumor_102", "tumor_103", "tumor_104"])
@pytest.mark.parametrize("number", [3, 4, 5])
def test_no_tumor_of_the_mosaics_is_lost(real: Path, name: str, number: int) -> None:
    pixels = level(real / "mosaic" / f"{name}.tif", number)
    tumor = level(real / "mosaic" / f"{name}_mask.tif", number)[..., 0] > 127
    mpp = 0.243 * 2**number
    assert usable(pixels, mpp).all()
    assert otsu_tissue(pixels, mpp)[tumor].mean() > 0.997


@pytest.mark.parametrize(
    ("name", "factor", "mpp"),
    [
        ("wsi/CMU-1-Small-Region.svs", 8, 4.0),
        ("wsi/CMU-1-Small-Region.svs", 16, 8.0),
        ("wsi/TCGA-CR-7395-01A-01-TS1.svs", 16, 4.0),
        ("wsi/TCGA-CR-7395-01A-01-TS1.svs", 32, None),
    ],
)
def test_other_stains_are_found_and_nothing_of_them_is_an_artifact(
    real: Path, name: str, factor: int, mpp: float | None
) -> None:
    pixels = shrunk(level(real / name, 0), factor).round().astype(np.uint8)
    dense = pixels.max(axis=-1).astype(int) - pixels.min(axis=-1) > 40
    assert usable(pixels, mpp).all()
    found = otsu_tissue(pixels, mpp)
    assert found[dense].mean() > 0.98
    assert not found[pixels.min(axis=-1) > 235][:20].any()


def test_pale_pink_second_level_of_tcga_is_tissue(real: Path) -> None:
    pixels = level(real / "wsi" / "TCGA-CR-7395-01A-01-TS1.svs", 1)
    assert usable(pixels, 0.5).all()
    assert 0.6 < otsu_tissue(pixels, 0.5).mean() < 0.7
