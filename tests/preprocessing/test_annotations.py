"""What pathologists draw is read as drawn, holes cut out last; what cannot be understood is refused by name."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image
from scipy.ndimage import binary_erosion

from preprocessing.annotations import EXCLUDED, read_regions, refuse_outside
from preprocessing.errors import AnnotationError
from preprocessing.inventory import inventory
from preprocessing.labels import MaskTruth, PolygonTruth, open_truth
from preprocessing.mask_values import MaskValues
from preprocessing.polygon_raster import BurnOrder, trimmed
from preprocessing.readers.opening import open_slide
from preprocessing.recipe import Recipe
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Labels
from tests import reference
from tests.preprocessing.annotation_files import asap, feature, geojson, polygon, square

LABELS = Labels()
SQUARE = square(0, 0, 40)
INNER = square(10, 10, 10)


def truth_of(path: Path, downsample: float = 1.0) -> PolygonTruth:
    return PolygonTruth(BurnOrder.of(read_regions(str(path), LABELS)), downsample)


@pytest.mark.parametrize("group", ["_0", "_1", "Tumor", "metastases"])
@pytest.mark.parametrize("hole", ["_2", "Exclusion", "None", "normal"])
def test_exclusions_are_cut_out_whatever_the_order(tmp_path: Path, group: str, hole: str) -> None:
    for areas in ([(hole, INNER), (group, SQUARE)], [(group, SQUARE), (hole, INNER)]):
        annotated = truth_of(asap(tmp_path / "a.xml", *areas)).labels(0, 0, 50, 50)
        assert annotated.sum() == 40 * 40 - 10 * 10
        assert not annotated[10:20, 10:20].any()


def test_region_of_a_region_equals_the_whole(tmp_path: Path) -> None:
    corners = [(3.3, 5.1), (71.7, 12.9), (60.2, 66.6), (31.5, 40.2), (8.8, 70.4)]
    truth = truth_of(asap(tmp_path / "a.xml", ("Tumor", corners)), 2.0)
    whole = truth.labels(0, 0, 40, 40)
    assert whole.any()
    assert np.array_equal(truth.labels(7, 11, 13, 9), whole[11:20, 7:20])
    beyond = truth.labels(-5, -5, 60, 60)
    assert np.array_equal(beyond[5:45, 5:45], whole)
    assert beyond.sum() == whole.sum()


def wild(seed: int) -> np.ndarray:
    """A ring of 60 corners around (50, 50), closed."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 60))
    radii = rng.uniform(5, 48, 60)
    ring = np.column_stack([50 + radii * np.cos(angles), 50 + radii * np.sin(angles)])
    return np.concatenate([ring, ring[:1]])


def test_where_nothing_is_near_no_pixel_is_annotated(tmp_path: Path) -> None:
    truth = truth_of(asap(tmp_path / "a.xml", ("Tumor", square(100, 120, 60)), ("_2", square(300, 20, 30))), 1.7)
    rng = np.random.default_rng(2)
    boxes = [(int(x), int(y), 37, 29) for x, y in rng.integers(-20, 250, (400, 2))]
    empty = [truth.nothing_near(*box) for box in boxes]
    assert 100 < sum(empty) < 400
    assert not any(truth.labels(*box).any() for box, nothing in zip(boxes, empty, strict=True) if nothing)


def test_pixel_centers_decide(tmp_path: Path) -> None:
    """Against shapely, point by point, at an uneven downsample."""
    scale, corners = 2.0005, wild(5)[:-1]
    found = truth_of(asap(tmp_path / "a.xml", ("Tumor", corners)), scale).labels(0, 0, 50, 50)
    drawn = shapely.Polygon(corners)
    for row in range(50):
        for column in range(50):
            inside = drawn.contains(shapely.Point((column + 0.5) * scale, (row + 0.5) * scale))
            assert found[row, column] == inside


@pytest.mark.parametrize("seed", range(20))
def test_trimming_a_ring_changes_no_point_near_the_region(seed: int) -> None:
    """Against shapely's own test of points, in boxes all over a ring and around it."""
    ring, rng = wild(seed), np.random.default_rng(seed)
    left, top = rng.uniform(-10, 90, 2)
    box = (left, top, left + rng.uniform(1, 30), top + rng.uniform(1, 30))
    x, y = rng.uniform(box[0], box[2], 500), rng.uniform(box[1], box[3], 500)
    wanted = shapely.contains_xy(shapely.Polygon(ring), x, y)
    short = trimmed(ring, box)
    assert len(short) < len(ring)
    # The short ring may cross itself far away, so points are judged by the parity of crossings, as in burning.
    crossings = np.zeros(500, int)
    for (x1, y1), (x2, y2) in pairwise(short):
        spans = (y1 > y) != (y2 > y)
        crossings += spans & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1 if y1 != y2 else 1))
    assert np.array_equal(crossings % 2 == 1, wanted)


def test_geojson_of_qupath_with_a_hole(tmp_path: Path) -> None:
    drawn = feature(polygon(SQUARE, INNER), objectType="annotation", classification={"name": "Tumor"}, isLocked=True)
    for content in ({"type": "FeatureCollection", "features": [drawn]}, [drawn], drawn):
        assert truth_of(geojson(tmp_path / "a.geojson", content)).labels(0, 0, 50, 50).sum() == 1500


@pytest.mark.parametrize("classification", ["tumor", {"name": "Tumor", "color": [200, 0, 0]}, {"names": ["Tumor"]}])
def test_geojson_classifications_in_all_their_forms(tmp_path: Path, classification: object) -> None:
    drawn = feature(polygon(SQUARE), classification=classification)
    assert truth_of(geojson(tmp_path / "a.geojson", [drawn])).labels(0, 0, 50, 50).sum() == 1600


def test_geojson_of_several_polygons_with_holes(tmp_path: Path) -> None:
    parts = [polygon(SQUARE, INNER)["coordinates"], polygon(square(60, 60, 20))["coordinates"]]
    drawn = feature({"type": "MultiPolygon", "coordinates": parts}, classification={"name": "Tumor"})
    found = truth_of(geojson(tmp_path / "a.geojson", [drawn])).labels(0, 0, 100, 100)
    assert found.sum() == 1500 + 400
    assert found[60:80, 60:80].all()


def test_objects_that_nobody_drew_are_passed_over(tmp_path: Path) -> None:
    drawn = feature(polygon(SQUARE), objectType="annotation", classification={"name": "Tumor"})
    computed = [
        feature(polygon(square(50, 50, 9)), objectType=kind, classification={"name": "Positive"})
        for kind in ("detection", "cell", "tile", "tma_core")
    ]
    path = geojson(tmp_path / "a.geojson", [*computed, drawn])
    assert truth_of(path).labels(0, 0, 100, 100).sum() == 1600
    with pytest.raises(AnnotationError, match="holds 4 objects, none of which is an annotation"):
        read_regions(str(geojson(path, computed)), LABELS)


@pytest.mark.parametrize(
    ("drawn", "reason"),
    [
        (feature(polygon(SQUARE), name="left one"), "left one has no classification; give it a class"),
        (feature(polygon(SQUARE), classification={"name": "Stroma"}), "feature 0 is in group 'Stroma'; known groups"),
        (feature({"type": "Point", "coordinates": [1, 2]}, classification="Tumor"), "is a Point, which has no area"),
        (feature({"type": "Polygon", "coordinates": []}, classification="Tumor"), "has no outline"),
        (feature({"type": "Polygon", "coordinates": [[3, 4]]}, classification="Tumor"), "not in the expected form"),
        (feature({"type": "Polygon"}, classification="Tumor"), "not in the expected form"),
        ({"type": "Feature"}, "has no classification"),
        ("text", "not in the expected form"),
        (feature(polygon([(0, 0), (9, 0), (9, float("nan"))]), classification="Tumor"), "a corner that is on no slide"),
        (feature(polygon([(0, 0), (9, 0), (10**400, 9)]), classification="Tumor"), "not in the expected form"),
    ],
)
def test_geojson_that_is_not_understood_is_refused_by_name(tmp_path: Path, drawn: object, reason: str) -> None:
    with pytest.raises(AnnotationError, match=r"a\.geojson.*" + reason):
        read_regions(str(geojson(tmp_path / "a.geojson", [drawn])), LABELS)


@pytest.mark.parametrize("text", ["", "{", "3", "{}", "[" * 100_000, "\xff"])
def test_damaged_geojson_is_an_annotation_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.geojson").write_text(text, encoding="latin-1")
    with pytest.raises(AnnotationError, match=r"a\.geojson"):
        read_regions(str(tmp_path / "a.geojson"), LABELS)


@pytest.mark.parametrize(
    ("areas", "kind", "reason"),
    [
        ([("Stroma", SQUARE)], "Polygon", "A0 is in group 'Stroma'; known groups are _0, _1"),
        ([("Tumor", SQUARE)], "Dot", "A0 is a Dot, which has no area"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(
    tmp_path: Path, areas: list[tuple[str, list[tuple[float, float]]]], kind: str, reason: str
) -> None:
    with pytest.raises(AnnotationError, match=reason):
        read_regions(str(asap(tmp_path / "a.xml", *areas, kind=kind)), LABELS)


DAMAGED = [
    "",
    "<ASAP_Annotations><Annot",
    "no xml",
    '<ASAP_Annotations><Annotation Type="Polygon"/></ASAP_Annotations>',
    '<Annotations><Annotation Id="1"><Regions/></Annotation></Annotations>',
    '<ASAP_Annotations><Annotation Type="Polygon"><Coordinate X="1" Y="2"/></Annotation></ASAP_Annotations>',
    '<ASAP_Annotations><Annotation Type="Polygon"><Coordinate Order="0" X="a" Y="2"/></Annotation></ASAP_Annotations>',
    '<?xml version="1.0" encoding="nonsense"?><ASAP_Annotations/>',
    '<?xml version="1.0" encoding="utf-7"?><ASAP_Annotations/>',
]


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_file_is_an_annotation_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(AnnotationError, match=r"a\.xml"):
        read_regions(str(tmp_path / "a.xml"), LABELS)


def test_a_file_without_drawings_is_a_finding_of_nothing(tmp_path: Path) -> None:
    assert read_regions(str(asap(tmp_path / "a.xml")), LABELS) == ()
    empty = {"type": "FeatureCollection", "features": []}
    assert read_regions(str(geojson(tmp_path / "a.geojson", empty)), LABELS) == ()


def test_entities_and_other_files_never_expand(tmp_path: Path) -> None:
    """The billion laughs, and a reference to a file of this machine."""
    secret = tmp_path / "secret"
    secret.write_text("Tumor")
    bomb = '<!DOCTYPE b [<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    outside = f'<!DOCTYPE b [<!ENTITY a11 SYSTEM "file://{secret}">'
    remote = '<!DOCTYPE b SYSTEM "http://127.0.0.1:9/b.dtd" [<!ENTITY a11 "x">'
    for doctype in (bomb, outside, remote):
        (tmp_path / "a.xml").write_text(doctype + "]><ASAP_Annotations>&a11;</ASAP_Annotations>")
        with pytest.raises(AnnotationError, match=r"a\.xml declares a document type"):
            read_regions(str(tmp_path / "a.xml"), LABELS)


def test_real_camelyon16_annotations_with_exclusions(real: Path) -> None:
    """tumor_064 has 11 lesions and 24 holes; the area by shapely agrees with the raster at level 5."""
    regions = read_regions(str(real / "camelyon16" / "tumor_064.xml"), LABELS)
    assert (sum(r.label == 1 for r in regions), sum(r.label == EXCLUDED for r in regions)) == (11, 24)
    shapes = {
        label: shapely.union_all(
            [shapely.Polygon(p[0], p[1:]) for r in regions if r.label == label for p in r.polygons]
        )
        for label in (0, 1)
    }
    annotated = PolygonTruth(BurnOrder.of(regions), 32.0).labels(0, 0, 3100, 7000)
    assert annotated.sum() * 32**2 == pytest.approx(shapes[1].difference(shapes[0]).area, rel=0.01)


def test_real_polygons_of_tumor_001_give_its_published_mask(real: Path) -> None:
    folder = real / "camelyon16"
    mask = np.asarray(Image.open(folder / "tumor_001_level5_mask.png").convert("L")) > 0
    found = truth_of(folder / "tumor_001_level5.xml").labels(0, 0, mask.shape[1], mask.shape[0]) > 0
    assert mask.sum() == 11_571
    # The published mask was rasterized with its outlines drawn: it differs by no more than the pixels of the rim.
    assert (found <= mask).all()
    assert (found >= binary_erosion(mask, np.ones((3, 3)))).all()


@pytest.mark.parametrize("level", [0, 1, 2])
def test_mask_and_polygons_of_a_drawn_slide_agree(drawn: Path, small: Recipe, level: int) -> None:
    entry = inventory(str(drawn / "tumor_02.tif"), small.tiling, 1)[0]
    labels = {source: small.tiling.labels.model_copy(update={"source": source}) for source in ("polygons", "mask")}
    with open_slide(entry.path) as slide:
        info = slide.info
    with (
        open_truth(entry, info, info.downsamples[level], labels["polygons"]) as polygons,
        open_truth(entry, info, info.downsamples[level], labels["mask"]) as mask,
    ):
        assert isinstance(polygons, PolygonTruth)
        assert isinstance(mask, MaskTruth)
        size = info.level_sizes[level]
        assert np.array_equal(mask.labels(0, 0, *size), polygons.labels(0, 0, *size))
        assert np.array_equal(mask.labels(0, 0, *size) > 0, reference.annotated_by_mask(entry.mask, level))


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("slide_id", ["tumor_101", "tumor_102", "tumor_103", "tumor_104"])
def test_mask_and_polygons_of_the_real_mosaics_agree(real: Path, slide_id: str, level: int) -> None:
    """In blocks, as they are read; a center on an outline is the one thing that may fall to either side."""
    folder = real / "mosaic"
    with open_slide(str(folder / f"{slide_id}.tif")) as slide:
        info = slide.info
    path = folder / slide_id
    entry = SlideEntry(slide_id, f"{path}.tif", f"{path}.xml", f"{path}_mask.tif")
    annotated = 0
    with (
        open_truth(entry, info, info.downsamples[level], LABELS) as polygons,
        open_truth(entry, info, info.downsamples[level], LABELS.model_copy(update={"source": "mask"})) as mask,
    ):
        assert (type(polygons), type(mask)) == (PolygonTruth, MaskTruth)
        for y in range(0, info.level_sizes[level][1], 1024):
            for x in range(0, info.level_sizes[level][0], 1024):
                by_polygons = polygons.labels(x, y, 1024, 1024)
                assert np.array_equal(by_polygons, mask.labels(x, y, 1024, 1024))
                annotated += int(by_polygons.sum())
    assert annotated > 0


def test_mask_without_the_level_is_sampled_under_pixel_centers(drawn: Path) -> None:
    """A mask stored at fewer levels than its slide, and a scale between levels: the pixel under each center counts."""
    with open_slide(str(drawn / "tumor_02_mask.tif")) as mask:
        fine = mask.read(0, 0, 0, 1536, 1536, background=0).any(axis=-1)
        for ratio in (4.0, 2.7, 0.5):
            found = MaskTruth(MaskValues(mask, 1), 0, ratio).labels(100, 90, 60, 50)
            for row in range(50):
                for column in range(60):
                    under = int((row + 90.5) * ratio), int((column + 100.5) * ratio)
                    assert found[row, column] == fine[under]


def test_a_region_outside_the_slide_is_refused_by_name(tmp_path: Path) -> None:
    path = str(asap(tmp_path / "a.xml", ("Tumor", SQUARE), ("Tumor", square(200, 10, 40))))
    regions = read_regions(path, LABELS)
    refuse_outside(regions, 210, 50, path)  # the second reaches over the edge, which is common
    with pytest.raises(AnnotationError, match=r"a\.xml: A1 lies outside the slide of 200x50 px"):
        refuse_outside(regions, 200, 50, path)
