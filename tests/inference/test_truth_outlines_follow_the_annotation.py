"""What is outlined in pictures is what is annotated: the polygons themselves, or the edge of the mask."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import openslide
import pytest
import shapely
import tifffile

from inference.truth_outline import truth_outlines
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Labels

TUMORS = ("tumor_01", "tumor_02")
POLYGONS, MASK = Labels(source="polygons"), Labels(source="mask")


def polygons(xml: Path) -> dict[str, list[np.ndarray]]:
    found: dict[str, list[np.ndarray]] = {}
    for annotation in ET.parse(xml).getroot().iter("Annotation"):
        corners = [(float(c.attrib["X"]), float(c.attrib["Y"])) for c in annotation.iter("Coordinate")]
        found.setdefault(annotation.attrib["PartOfGroup"], []).append(np.array(corners))
    return found


@pytest.mark.parametrize("slide_id", TUMORS)
def test_outlines_of_an_xml_are_its_polygons(drawn: Path, slide_id: str) -> None:
    xml = drawn / f"{slide_id}.xml"
    rings = truth_outlines(SlideEntry(slide_id, str(drawn / f"{slide_id}.tif"), annotation=str(xml)), POLYGONS)
    wanted = [corners for group in polygons(xml).values() for corners in group]
    assert len(rings) == len(wanted) > 0
    for ring, corners in zip(rings, wanted, strict=True):
        np.testing.assert_array_equal(ring[: len(corners)], corners)
        np.testing.assert_array_equal(ring[-1], ring[0])


@pytest.mark.parametrize("slide_id", TUMORS)
def test_outlines_of_a_mask_lie_within_a_mask_pixel_of_the_polygons(drawn: Path, slide_id: str) -> None:
    mask = drawn / f"{slide_id}_mask.tif"
    with openslide.OpenSlide(str(mask)) as handle:
        pixel = handle.level_downsamples[-1]
    drawn_by_hand = polygons(drawn / f"{slide_id}.xml")
    tumor = shapely.union_all([shapely.Polygon(corners) for corners in drawn_by_hand["Tumor"]])
    holes = [shapely.Polygon(c) for group, cs in drawn_by_hand.items() if group != "Tumor" for c in cs]
    edge = shapely.boundary(shapely.difference(tumor, shapely.union_all(holes)))
    rings = truth_outlines(SlideEntry(slide_id, str(drawn / f"{slide_id}.tif"), mask=str(mask)), POLYGONS)
    assert len(rings) > 0
    outline = shapely.union_all([shapely.LineString(ring) for ring in rings])
    assert shapely.hausdorff_distance(outline, edge, densify=0.1) < pixel * np.sqrt(2)
    for ring in rings:  # closed, so that no gap shows
        np.testing.assert_array_equal(ring[-1], ring[0])


def test_a_mask_at_the_rim_of_the_slide_is_outlined_there(tmp_path: Path) -> None:
    pixels = np.zeros((256, 256), np.uint8)
    pixels[:64, 192:] = 255
    tifffile.imwrite(tmp_path / "mask.tif", pixels, tile=(128, 128))
    (ring,) = truth_outlines(SlideEntry("s", "s.tif", mask=str(tmp_path / "mask.tif")), POLYGONS)
    edge = shapely.LineString(ring)
    assert shapely.hausdorff_distance(edge, shapely.boundary(shapely.box(192, 0, 256, 64)), densify=0.1) < 0.4


def test_a_slide_without_annotation_has_no_outlines() -> None:
    assert truth_outlines(SlideEntry("s", "s.tif"), POLYGONS) == []


def test_where_a_slide_has_both_the_one_that_makes_its_labels_is_drawn(drawn: Path) -> None:
    beside = {"annotation": str(drawn / "tumor_01.xml"), "mask": str(drawn / "tumor_01_mask.tif")}
    both = SlideEntry("tumor_01", str(drawn / "tumor_01.tif"), **beside)
    for labels, name in ((POLYGONS, "annotation"), (MASK, "mask")):
        alone = SlideEntry("tumor_01", both.path, **{name: beside[name]})
        rings, wanted = truth_outlines(both, labels), truth_outlines(alone, POLYGONS)
        assert len(rings) == len(wanted) > 0
        assert all(np.array_equal(ring, other) for ring, other in zip(rings, wanted, strict=True))
    assert sum(map(len, truth_outlines(both, MASK))) != sum(map(len, truth_outlines(both, POLYGONS)))


@pytest.mark.parametrize("size", [(5000, 3100), (2049, 700)])
def test_a_large_mask_of_one_level_is_outlined_in_squares(tmp_path: Path, size: tuple[int, int]) -> None:
    """No annotated pixel is lost, and the outline is off by a square at most."""
    pixels = np.zeros(size[::-1], np.uint8)
    pixels[101:402, 1500:2041] = 255
    pixels[600, 3] = 255
    tifffile.imwrite(tmp_path / "mask.tif", pixels, tile=(128, 128))
    rings = truth_outlines(SlideEntry("s", "s.tif", mask=str(tmp_path / "mask.tif")), POLYGONS)
    square = -(-max(size) // 2048)
    shapes = sorted((shapely.Polygon(ring) for ring in rings), key=lambda shape: shape.area)
    assert len(shapes) == 2
    assert shapely.hausdorff_distance(shapes[1], shapely.box(1500, 101, 2041, 402)) <= square * np.sqrt(2)
    assert shapes[0].distance(shapely.Point(3.5, 600.5)) < square
