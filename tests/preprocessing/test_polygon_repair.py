"""Outlines that cross themselves a little are repaired to the pixels they had; what is in doubt is refused by name."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import shapely
from rasterio.features import rasterize
from rasterio.transform import Affine

from preprocessing.annotations import read_regions
from preprocessing.errors import AnnotationError
from preprocessing.polygon_raster import BurnOrder, burn
from preprocessing.repair import repaired
from preprocessing.tiling_settings import Labels
from tests.preprocessing.annotation_files import asap, square

SQUARE = square(0, 0, 40)
SMALL_CROSSING = [(0, 0), (40, 0), (40, 40), (1, 40), (3, 42), (1, 42), (3, 40), (0, 40)]
BOW_TIE = [(0.0, 0.0), (40.0, 40.0), (40.0, 0.0), (0.0, 40.0)]


def even_odd(ring: list[tuple[float, float]], side: int) -> np.ndarray:
    """By counting crossings to the left of each pixel center."""
    inside = np.zeros((side, side), bool)
    centers = np.arange(side) + 0.5
    for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True):
        for row, y in enumerate(centers):
            if (y1 > y) != (y2 > y):
                inside[row] ^= centers > x1 + (y - y1) * (x2 - x1) / (y2 - y1)
    return inside


def burnt(rings: list[list[tuple[float, float]]], side: int = 60) -> np.ndarray:
    shapes = [({"type": "Polygon", "coordinates": [list(map(tuple, ring)) for ring in p]}, 1) for p in rings]
    return rasterize(shapes, out_shape=(side, side), dtype="uint8") > 0


@pytest.mark.parametrize(
    ("ring", "area"),
    [
        ([*SQUARE, SQUARE[0]], 1600),
        (SQUARE, 1600),  # open
        ([SQUARE[0], *SQUARE], 1600),  # a corner twice
        ([SQUARE[0], SQUARE[1], (90, 0), SQUARE[1], SQUARE[2], SQUARE[3]], 1600),  # a spike
        ([(0, 0), (20, 0), (20, 20), (40, 20), (40, 40), (20, 40), (20, 20), (0, 20)], 800),  # touches itself
        (SMALL_CROSSING, 1602),
    ],
    ids=["closed", "open", "corner twice", "spike", "touching", "small crossing"],
)
def test_a_repair_keeps_the_area_and_the_pixels(ring: list[tuple[float, float]], area: float) -> None:
    result = repaired([ring], "it")
    assert all(shapely.Polygon(p[0], p[1:]).is_valid for p in result.polygons)
    assert sum(shapely.Polygon(p[0], p[1:]).area for p in result.polygons) == pytest.approx(area)
    assert np.array_equal(burnt(result.polygons), even_odd(ring, 60))
    assert bool(result.note) == (not shapely.Polygon(ring).is_valid)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_inside_of_any_tangle_is_what_the_even_odd_rule_says(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the limit lifted, for a bow-tie and for random tangles: the repair and the raster agree on inside."""
    monkeypatch.setattr("preprocessing.repair.MAX_CHANGE", np.inf)
    rng = np.random.default_rng(seed)
    ring = BOW_TIE if seed == 0 else [tuple(corner) for corner in rng.uniform(0, 60, (12, 2)).tolist()]
    assert np.array_equal(burnt(repaired([ring], "it").polygons), even_odd(ring, 60))


def test_a_repair_says_what_it_did(tmp_path: Path) -> None:
    (region,) = read_regions(str(asap(tmp_path / "a.xml", ("Tumor", SMALL_CROSSING))), Labels())
    assert region.note.startswith("A0: ")
    assert "Self-intersection" in region.note
    assert "repaired, area changed by 0.12%" in region.note
    (good,) = read_regions(str(asap(tmp_path / "a.xml", ("Tumor", SQUARE))), Labels())
    assert good.note == ""


@pytest.mark.parametrize(
    ("corners", "reason"),
    [
        ([], "A0 has 0 corners, an area needs 3"),
        (SQUARE[:2], "A0 has 2 corners, an area needs 3"),
        ([*SQUARE[:2], *SQUARE[:2]], "A0 has 2 corners"),
        ([(0, 0), (10, 10), (20, 20)], "A0 has no area"),
        ([(0, 0), (10, 0), (float("nan"), 10)], "A0 has a corner that is on no slide"),
        ([(0, 0), (10, 0), (float("inf"), 10)], "A0 has a corner that is on no slide"),
        ([(0, 0), (10, 0), (1e300, 10)], "A0 has a corner that is on no slide"),
        (BOW_TIE, "A0 crosses itself .* leaves 100% of its area in doubt; draw it anew"),
        ([*SQUARE, *SQUARE], "A0 .*; .*draw it anew"),
    ],
)
def test_what_cannot_be_repaired_is_refused_by_name(
    tmp_path: Path, corners: list[tuple[float, float]], reason: str
) -> None:
    with pytest.raises(AnnotationError, match=r"a\.xml: " + reason):
        read_regions(str(asap(tmp_path / "a.xml", ("Tumor", corners))), Labels())


def test_a_hole_that_leaves_its_polygon_is_in_doubt() -> None:
    with pytest.raises(AnnotationError, match="in doubt"):
        repaired([SQUARE, square(30, 30, 30)], "it")
    inside = repaired([SQUARE, square(10, 10, 20)], "it")
    assert burnt(inside.polygons).sum() == 1600 - 400


@pytest.mark.parametrize("name", ["tumor_001.xml", "tumor_064.xml", "tumor_001_level5.xml"])
def test_real_polygons_keep_their_pixels_when_repaired(real: Path, name: str) -> None:
    """Against GDAL fed with the rings as they were drawn, without repair, trimming or blocks: level-5 pixels."""
    path = real / "camelyon16" / name
    scale, size = (1.0, (3072, 7168)) if "level5" in name else (32.0, (3100, 7000))
    by_turn: dict[bool, list] = {True: [], False: []}
    for annotation in ET.parse(path).getroot().iter("Annotation"):
        ring = [(float(c.attrib["X"]), float(c.attrib["Y"])) for c in annotation.iter("Coordinate")]
        positive = annotation.attrib["PartOfGroup"] in {"Tumor", "_0", "_1"}
        by_turn[positive].append(({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}, int(positive)))
    shapes = by_turn[True] + by_turn[False]
    as_drawn = rasterize(shapes, out_shape=size[::-1], transform=Affine.scale(scale), dtype="uint8")
    regions = read_regions(str(path), Labels())
    assert any(region.note for region in regions)
    order = BurnOrder.of(regions)
    found = np.zeros_like(as_drawn)
    for y in range(0, size[1], 1000):
        for x in range(0, size[0], 1000):
            part = found[y : y + 1000, x : x + 1000]
            part[:] = burn(order, x, y, part.shape[1], part.shape[0], scale)
    assert as_drawn.sum() > 3000
    assert np.array_equal(found, as_drawn)
