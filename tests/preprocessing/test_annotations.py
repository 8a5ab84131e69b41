"""What pathologists draw is read as drawn, holes cut out last; what cannot be understood is refused by name."""

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image
from scipy.ndimage import binary_erosion

from preprocessing.annotations import read_regions
from preprocessing.errors import AnnotationError
from preprocessing.inventory import inventory
from preprocessing.labels import MaskTruth, PolygonTruth, open_truth
from preprocessing.recipe import Recipe
from preprocessing.slides import Slide
from tests import reference

SQUARE = [(0, 0), (40, 0), (40, 40), (0, 40)]


def asap(path: Path, *areas: tuple[str, list[tuple[float, float]]], kind: str = "Polygon") -> Path:
    text = "<ASAP_Annotations><Annotations>"
    for number, (group, corners) in enumerate(areas):
        text += f'<Annotation Name="A{number}" Type="{kind}" PartOfGroup="{group}"><Coordinates>'
        text += "".join(f'<Coordinate Order="{i}" X="{x}" Y="{y}" />' for i, (x, y) in enumerate(corners))
        text += "</Coordinates></Annotation>"
    path.write_text(text + "</Annotations></ASAP_Annotations>")
    return path


@pytest.mark.parametrize("group", ["_0", "_1", "Tumor", "metastases"])
@pytest.mark.parametrize("hole", ["_2", "Exclusion", "None", "normal"])
def test_exclusions_are_cut_out_whatever_the_order(tmp_path: Path, group: str, hole: str) -> None:
    inner = [(10, 10), (20, 10), (20, 20), (10, 20)]
    for areas in ([(hole, inner), (group, SQUARE)], [(group, SQUARE), (hole, inner)]):
        truth = PolygonTruth(read_regions(str(asap(tmp_path / "a.xml", *areas))), 1.0)
        annotated = truth.annotated(0, 0, 50, 50)
        assert annotated.sum() == 40 * 40 - 10 * 10
        assert not annotated[10:20, 10:20].any()


def test_region_of_a_region_equals_the_whole(tmp_path: Path) -> None:
    corners = [(3.3, 5.1), (71.7, 12.9), (60.2, 66.6), (31.5, 40.2), (8.8, 70.4)]
    truth = PolygonTruth(read_regions(str(asap(tmp_path / "a.xml", ("Tumor", corners)))), 2.0)
    whole = truth.annotated(0, 0, 40, 40)
    assert whole.any()
    assert np.array_equal(truth.annotated(7, 11, 13, 9), whole[11:20, 7:20])


def test_pixel_centers_decide(tmp_path: Path) -> None:
    """Against shapely, point by point, at an uneven downsample."""
    rng = np.random.default_rng(5)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 40))
    radii = rng.uniform(20, 48, 40)
    corners = [(50 + r * np.cos(a), 50 + r * np.sin(a)) for a, r in zip(angles, radii, strict=True)]
    scale = 2.0005
    found = PolygonTruth(read_regions(str(asap(tmp_path / "a.xml", ("Tumor", corners)))), scale).annotated(0, 0, 50, 50)
    polygon = shapely.Polygon(corners)
    for row in range(50):
        for column in range(50):
            inside = polygon.contains(shapely.Point((column + 0.5) * scale, (row + 0.5) * scale))
            assert found[row, column] == inside


def test_geojson_of_qupath_with_a_hole(tmp_path: Path) -> None:
    ring = [[0, 0], [40, 0], [40, 40], [0, 40], [0, 0]]
    hole = [[10, 10], [20, 10], [20, 20], [10, 20], [10, 10]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring, hole]},
        "properties": {"classification": {"name": "Tumor"}},
    }
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    assert PolygonTruth(read_regions(str(path)), 1.0).annotated(0, 0, 50, 50).sum() == 1500


@pytest.mark.parametrize(
    ("areas", "kind", "reason"),
    [
        ([("Stroma", SQUARE)], "Polygon", "A0 is in group 'Stroma'; known groups are"),
        ([("Tumor", SQUARE[:2])], "Polygon", "A0 has 2 corners"),
        ([("Tumor", SQUARE)], "Dot", "A0 is a Dot, which has no area"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(
    tmp_path: Path, areas: list[tuple[str, list[tuple[float, float]]]], kind: str, reason: str
) -> None:
    with pytest.raises(AnnotationError, match=reason):
        read_regions(str(asap(tmp_path / "a.xml", *areas, kind=kind)))


@pytest.mark.parametrize("text", ["", "<ASAP_Annotations><Annot", "no xml", '<a><Annotation Type="Polygon"/></a>'])
def test_damaged_file_is_an_annotation_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(AnnotationError, match=r"a\.xml"):
        read_regions(str(tmp_path / "a.xml"))


def test_real_camelyon16_annotations_with_exclusions(real: Path) -> None:
    """tumor_064 has 11 lesions and 24 holes; the area by shapely agrees with the raster at level 5."""
    regions = read_regions(str(real / "camelyon16" / "tumor_064.xml"))
    assert (sum(r.positive for r in regions), sum(not r.positive for r in regions)) == (11, 24)
    shapes = {positive: [] for positive in (True, False)}
    for region in regions:
        shapes[region.positive].append(shapely.make_valid(shapely.Polygon(region.geometry["coordinates"][0])))
    area = shapely.union_all(shapes[True]).difference(shapely.union_all(shapes[False])).area
    annotated = PolygonTruth(regions, 32.0).annotated(0, 0, 3100, 7000)
    assert annotated.sum() * 32**2 == pytest.approx(area, rel=0.01)


def test_real_polygons_of_tumor_001_give_its_published_mask(real: Path) -> None:
    folder = real / "camelyon16"
    mask = np.asarray(Image.open(folder / "tumor_001_level5_mask.png").convert("L")) > 0
    truth = PolygonTruth(read_regions(str(folder / "tumor_001_level5.xml")), 1.0)
    found = truth.annotated(0, 0, mask.shape[1], mask.shape[0])
    assert mask.sum() == 11_571
    # The published mask was rasterized with its outlines drawn: it differs by no more than the pixels of the rim.
    assert (found <= mask).all()
    assert (found >= binary_erosion(mask, np.ones((3, 3)))).all()


@pytest.mark.parametrize("level", [0, 1, 2])
def test_mask_and_polygons_of_a_drawn_slide_agree(drawn: Path, small: Recipe, level: int) -> None:
    entry = inventory(str(drawn / "tumor_02.tif"), small.tiling, 1)[0]
    labels = {source: small.tiling.labels.model_copy(update={"source": source}) for source in ("polygons", "mask")}
    with (
        Slide(entry.path) as slide,
        open_truth(entry, slide.info, level, labels["polygons"]) as polygons,
        open_truth(entry, slide.info, level, labels["mask"]) as mask,
    ):
        assert isinstance(polygons, PolygonTruth)
        assert isinstance(mask, MaskTruth)
        size = slide.info.level_sizes[level]
        assert np.array_equal(mask.annotated(0, 0, *size), polygons.annotated(0, 0, *size))
        assert np.array_equal(mask.annotated(0, 0, *size), reference.annotated_by_mask(entry.mask, level))


def test_mask_without_the_level_is_sampled_under_pixel_centers(drawn: Path) -> None:
    """A mask stored at fewer levels than its slide: the pixel under each center counts."""
    with Slide(str(drawn / "tumor_02_mask.tif")) as mask:
        fine = mask.read(0, 0, 0, 1536, 1536, background=0).any(axis=-1)
        found = MaskTruth(mask, 0, 4.0).annotated(100, 90, 60, 50)
    assert np.array_equal(found, fine[90 * 4 + 2 : 140 * 4 + 2 : 4, 100 * 4 + 2 : 160 * 4 + 2 : 4])
