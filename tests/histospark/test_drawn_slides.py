"""Drawn slides are slides: OpenSlide opens them, their annotations agree, and their lesions can be told by eye."""

from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import openslide
import pytest
import shapely
from numpy.typing import NDArray

from histospark.drawing import DrawnSlide, draw_demo_slides, draw_slide
from histospark.drawing.files import LEVELS
from histospark.drawing.planes import inside
from histospark.drawing.shapes import area, plan
from preprocessing.hashing import stable_hash

SIDE = 1024
SEED = 11


@pytest.fixture(scope="module")
def tumor(tmp_path_factory: pytest.TempPathFactory) -> DrawnSlide:
    folder = tmp_path_factory.mktemp("tumor")
    return draw_slide(folder, "tumor_small", SEED, side=SIDE, lesions=2, exclusions=1)


@pytest.fixture(scope="module")
def normal(tmp_path_factory: pytest.TempPathFactory) -> DrawnSlide:
    return draw_slide(tmp_path_factory.mktemp("normal"), "normal_small", SEED, side=SIDE, lesions=0)


def mask_path(slide: DrawnSlide) -> Path:
    return slide.path.with_name(f"{slide.slide_id}_mask.tif")


def pixels(path: Path, level: int, mode: str) -> NDArray[np.uint8]:
    with openslide.OpenSlide(path) as slide:
        return np.asarray(slide.read_region((0, 0), level, slide.level_dimensions[level]).convert(mode))


def region(slide: DrawnSlide) -> shapely.Geometry:
    lesions = shapely.union_all([shapely.Polygon(ring) for ring in slide.lesions])
    return shapely.difference(lesions, shapely.union_all([shapely.Polygon(ring) for ring in slide.exclusions]))


@pytest.mark.parametrize("kind", ["tumor", "normal", "mask"])
def test_openslide_opens_it_as_a_pyramid_at_a_quarter_of_a_micrometer(
    kind: str, tumor: DrawnSlide, normal: DrawnSlide
) -> None:
    path = {"tumor": tumor.path, "normal": normal.path, "mask": mask_path(tumor)}[kind]
    with openslide.OpenSlide(path) as slide:
        assert slide.properties["openslide.vendor"] == "generic-tiff"
        assert slide.level_dimensions == tuple((SIDE >> k, SIDE >> k) for k in range(LEVELS))
        for axis in "xy":
            assert float(slide.properties[f"openslide.mpp-{axis}"]) == pytest.approx(0.25, abs=1e-9)


def test_each_level_is_the_area_average_of_the_one_above(tumor: DrawnSlide) -> None:
    for level in range(1, LEVELS):
        above = pixels(tumor.path, level - 1, "L").astype(np.float64)
        below = pixels(tumor.path, level, "L")
        average = above.reshape(len(above) // 2, 2, len(above) // 2, 2).mean(axis=(1, 3))
        assert np.abs(average - below).mean() < 4  # both went through JPEG
        assert np.abs(average - below).mean() < 0.5 * np.abs(above[::2, ::2] - below).mean()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tumor: DrawnSlide, tmp_path: Path) -> None:
    again = draw_slide(tmp_path / "again", "tumor_small", SEED, side=SIDE, lesions=2, exclusions=1)
    other = draw_slide(tmp_path / "other", "tumor_small", SEED + 1, side=SIDE, lesions=2, exclusions=1)
    names = sorted(path.name for path in tumor.path.parent.iterdir())
    assert names == ["tumor_small.tif", "tumor_small.xml", "tumor_small_mask.tif"]
    for name in names:
        expected = tumor.path.with_name(name).read_bytes()
        assert again.path.with_name(name).read_bytes() == expected
        assert other.path.with_name(name).read_bytes() != expected


@pytest.mark.parametrize("level", [2, 3, 4])
def test_a_mask_pixel_is_set_exactly_where_its_center_lies_in_a_lesion_and_no_exclusion(
    level: int, tumor: DrawnSlide
) -> None:
    centers = (np.arange(SIDE >> level) + 0.5) * 2**level
    x, y = np.meshgrid(centers, centers)
    expected = shapely.contains_xy(region(tumor), x, y)
    mask = pixels(mask_path(tumor), level, "L")
    assert set(np.unique(mask)) == {0, 255}
    np.testing.assert_array_equal(mask == 255, expected)


def test_the_exclusion_is_a_hole_inside_a_lesion(tumor: DrawnSlide) -> None:
    (hole,) = tumor.exclusions
    assert shapely.contains_properly(shapely.Polygon(tumor.lesions[0]), shapely.Polygon(hole))
    x, y = np.floor(shapely.Polygon(hole).representative_point().coords[0]).astype(int)
    assert pixels(mask_path(tumor), 0, "L")[y, x] == 0


def test_the_xml_has_the_structure_of_asap_and_the_very_polygons(tumor: DrawnSlide) -> None:
    root = Xml.parse(tumor.path.with_suffix(".xml")).getroot()
    assert root.tag == "ASAP_Annotations"
    listed = root.findall("./Annotations/Annotation")
    assert [node.get("PartOfGroup") for node in listed] == ["Tumor", "Tumor", "Exclusion"]
    for node, polygon in zip(listed, tumor.lesions + tumor.exclusions, strict=True):
        assert node.get("Type") == "Polygon"
        points = node.findall("./Coordinates/Coordinate")
        assert [point.get("Order") for point in points] == [str(k) for k in range(len(points))]
        read = [(float(point.get("X", "nan")), float(point.get("Y", "nan"))) for point in points]
        np.testing.assert_array_equal(read, polygon)
    assert [node.get("Name") for node in root.findall("./AnnotationGroups/Group")] == ["Tumor", "Exclusion"]


def test_a_normal_slide_has_no_annotation_and_leaves_no_old_one(tmp_path: Path, normal: DrawnSlide) -> None:
    assert [path.name for path in normal.path.parent.iterdir()] == ["normal_small.tif"]
    draw_slide(tmp_path, "same_name", 1, side=512, lesions=1)
    draw_slide(tmp_path, "same_name", 1, side=512, lesions=0)
    assert [path.name for path in tmp_path.iterdir()] == ["same_name.tif"]


@pytest.mark.parametrize("seed", range(6))
def test_glass_is_bright_and_tissue_is_not(seed: int, tmp_path: Path) -> None:
    slide = draw_slide(tmp_path, "any", seed, side=SIDE, lesions=2)
    gray = pixels(slide.path, 2, "L")
    # The outermost frame may hold ink, and nothing else but glass.
    frame = np.concatenate([gray[:4].ravel(), gray[-4:].ravel(), gray[:, :4].ravel(), gray[:, -4:].ravel()])
    assert np.mean(frame > 0.8 * 255) > 0.9
    assert np.median(frame) > 0.9 * 255
    lesion = pixels(mask_path(slide), 2, "L") > 0
    assert np.mean(gray[lesion] < 0.8 * 255) > 0.85
    middle = gray[96:160, 96:160]
    assert np.mean(middle < 0.8 * 255) > 0.8


def test_lesions_are_paler_in_the_dark_and_coarser_than_the_lymphocytes_around(tumor: DrawnSlide) -> None:
    gray = pixels(tumor.path, 1, "L").astype(np.float64)
    lesion = pixels(mask_path(tumor), 1, "L") > 0
    for_plan, _ = np.random.default_rng(SEED).spawn(2)
    tissue = plan(for_plan, SIDE, len(tumor.lesions), len(tumor.exclusions)).tissue[:1]
    around = inside(tissue, SIDE, 1) & ~lesion
    dark_lesion, dark_around = (np.percentile(gray[where], 10) for where in (lesion, around))
    assert dark_lesion > dark_around + 15  # nuclei of tumor are paler
    rows, columns = np.gradient(gray)
    edges = np.hypot(rows, columns)
    assert np.median(edges[lesion]) < 0.9 * np.median(edges[around])  # and larger, with fewer edges


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("lesions", [1, 3, 4])
def test_lesions_lie_in_the_tissue_apart_and_take_15_to_35_percent_of_it(seed: int, lesions: int) -> None:
    outlines = plan(np.random.default_rng(seed), 3072, lesions, 1)
    tissue = shapely.Polygon(outlines.tissue[0])
    tumors = [shapely.Polygon(ring) for ring in outlines.lesions]
    assert all(polygon.is_valid for polygon in [tissue, *tumors])
    assert all(shapely.contains_properly(tissue, polygon) for polygon in tumors)
    assert sum(polygon.area for polygon in tumors) == pytest.approx(shapely.union_all(tumors).area)
    share = (sum(map(area, outlines.lesions)) - area(outlines.exclusions[0])) / sum(map(area, outlines.tissue))
    assert 0.15 <= share <= 0.35


def test_the_demo_set_has_seven_slides_each_drawn_from_its_own_name(tmp_path: Path) -> None:
    drawn = draw_demo_slides(tmp_path / "set", seed=3, side=512)
    with_tumor = [slide.slide_id for slide in drawn if slide.lesions]
    assert with_tumor == ["tumor_01", "tumor_02", "tumor_03", "tumor_unseen"]
    assert [slide.slide_id for slide in drawn if not slide.lesions] == ["normal_01", "normal_02", "normal_03"]
    assert [slide.slide_id for slide in drawn if slide.exclusions] == ["tumor_02"]
    assert len(list((tmp_path / "set").iterdir())) == 7 + 2 * len(with_tumor)
    alone = draw_slide(tmp_path / "alone", "normal_02", stable_hash("normal_02", 3), side=512, lesions=0)
    assert alone.path.read_bytes() == drawn[4].path.read_bytes()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"side": 500}, "at least 512"),
        ({"side": 1000}, "multiple of 16"),
        ({"lesions": 1, "exclusions": 2}, "2 exclusions"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: dict[str, int], told: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=told):
        draw_slide(tmp_path, "never", 0, **options)
    assert not list(tmp_path.iterdir())
