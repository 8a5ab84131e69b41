"""Several classes, in polygons and masks; masks of 0/1, 0/255 or compressed; conflicts of truth and slide."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from preprocessing.annotations import read_regions
from preprocessing.errors import AnnotationError
from preprocessing.label_rule import label_windows
from preprocessing.labels import NoTumor, PolygonTruth, open_truth
from preprocessing.mask_values import MaskValues
from preprocessing.polygon_raster import BurnOrder
from preprocessing.readers.base import SlideInfo
from preprocessing.readers.opening import open_slide
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Labels, Scale, Tiling
from tests.preprocessing.annotation_files import asap, feature, geojson, mask_tiff, polygon, square

CLASSES = Labels(classes={"benign": ("Benign",), "tumor": ("Tumor", "_0")}, excluded=("Hole",))
ONE_CLASS = Labels()
SIZE = 200
INFO = SlideInfo(((SIZE, SIZE),), (1.0,), None, None, "test")


def tiling(labels: Labels, window: int = 12, center: int = 6) -> Tiling:
    return Tiling(scales=(Scale(level=0),), window=window, center=center, stride=5, labels=labels)


class Painted:
    """A truth that is an array."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def labels(self, x: int, y: int, width: int, height: int) -> np.ndarray:
        return self.pixels[y : y + height, x : x + width]

    def nothing_near(self, x: int, y: int, width: int, height: int) -> bool:
        return not self.labels(x, y, width, height).any()


def slow_label(center: np.ndarray, labels: Labels) -> tuple[int, float]:
    counts = [int((center == label).sum()) for label in range(1, len(labels.classes) + 1)]
    most = max(counts)
    share = most / center.size
    enough = most > 0 and (labels.rule == "any" or np.float32(share) >= np.float32(labels.min_fraction))
    return (counts.index(most) + 1 if enough else 0), share


@pytest.mark.parametrize("at_least", [None, 0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("classes", [1, 2, 3])
def test_windows_get_the_label_that_counting_their_centers_gives(at_least: float | None, classes: int) -> None:
    """Off the grid, as jitter leaves them, with many ties."""
    rng = np.random.default_rng(classes)
    coarse = rng.integers(0, classes + 1, (20, 20)) * (rng.random((20, 20)) < 0.4)
    truth = Painted(np.kron(coarse, np.ones((5, 5), int)).astype(np.uint8))
    names = {f"c{i}": (f"g{i}",) for i in range(classes)}
    rule = {"rule": "any"} if at_least is None else {"rule": "fraction", "min_fraction": at_least}
    recipe = tiling(Labels(classes=names, excluded=(), **rule))
    origins = rng.integers(0, 100 - 12, (300, 2)).astype(np.int32)
    found = label_windows(truth, origins, recipe)
    wanted = [slow_label(truth.pixels[y + 3 : y + 9, x + 3 : x + 9], recipe.labels) for x, y in origins]
    assert (found.label.dtype, found.fraction.dtype) == (np.int32, np.float32)
    assert found.label.tolist() == [label for label, _ in wanted]
    np.testing.assert_array_equal(found.fraction, np.array([share for _, share in wanted], np.float32))
    if at_least != 1.0:
        assert set(range(classes + 1)) == set(found.label.tolist())


@pytest.mark.parametrize(("window", "center"), [(13, 6), (12, 5), (299, 128), (7, 7)])
def test_the_center_of_another_parity_lies_half_a_pixel_to_the_upper_left(window: int, center: int) -> None:
    """One annotated pixel at a time: the window is positive where that pixel is one of the center's."""
    first = (window - center) // 2
    assert first + center / 2 in {window / 2, window / 2 - 0.5}
    recipe = tiling(ONE_CLASS, window, center)
    for place in {0, first - 1, first, first + center - 1, first + center, window - 1} - {-1, window}:
        for x, y in ((place, window // 2), (window // 2, place)):
            pixels = np.zeros((window, window), np.uint8)
            pixels[y, x] = 1
            found = label_windows(Painted(pixels), np.zeros((1, 2), np.int32), recipe)
            assert found.label[0] == (first <= place < first + center)
            assert found.fraction[0] == np.float32(found.label[0] / center**2)


def test_no_windows_have_no_labels() -> None:
    found = label_windows(NoTumor(), np.zeros((0, 2), np.int32), tiling(ONE_CLASS))
    assert found.label.shape == found.fraction.shape == (0,)


def test_of_two_classes_that_cover_as_much_the_lower_counts() -> None:
    pixels = np.zeros((12, 12), np.uint8)
    pixels[:, :6], pixels[:, 6:] = 2, 1
    found = label_windows(Painted(pixels), np.zeros((1, 2), np.int32), tiling(CLASSES))
    assert (found.label[0], found.fraction[0]) == (1, 0.5)


def test_classes_of_polygons_overlap_by_the_order_of_the_recipe(tmp_path: Path) -> None:
    """Whatever the order of the file; what is excluded is cut out of both. Groups are matched in any case."""
    areas = [("BENIGN", square(0, 0, 40)), ("tumor", square(20, 0, 40)), ("hole", square(10, 10, 30))]
    for turned in (areas, areas[::-1]):
        regions = read_regions(str(asap(tmp_path / "a.xml", *turned)), CLASSES)
        found = PolygonTruth(BurnOrder.of(regions), 1.0).labels(0, 0, 70, 50)
        wanted = np.zeros((50, 70), np.uint8)
        wanted[:40, :40], wanted[:40, 20:60], wanted[10:40, 10:40] = 1, 2, 0
        assert np.array_equal(found, wanted)


def test_polygons_and_a_mask_of_several_classes_agree(tmp_path: Path) -> None:
    areas = [("Benign", square(10, 10, 40)), ("Tumor", square(100, 20, 60)), ("_0", square(30, 120, 20))]
    drawn = [feature(polygon(corners), classification={"name": group}) for group, corners in areas]
    annotation = geojson(tmp_path / "s.geojson", {"type": "FeatureCollection", "features": drawn})
    pixels = np.zeros((SIZE, SIZE), np.uint8)
    pixels[10:50, 10:50], pixels[20:80, 100:160], pixels[120:140, 30:50] = 1, 2, 2
    mask = mask_tiff(tmp_path / "s_mask.tif", pixels)
    entry = SlideEntry("s", "s.tif", str(annotation), str(mask))
    for labels in (CLASSES, CLASSES.model_copy(update={"source": "mask"})):
        with open_truth(entry, INFO, 1.0, labels) as truth:
            assert np.array_equal(truth.labels(0, 0, SIZE, SIZE), pixels)
            assert np.array_equal(truth.labels(90, 15, 80, 50), pixels[15:65, 90:170])


@pytest.mark.parametrize(("on", "options"), [(1, {}), (255, {}), (255, {"compression": "jpeg"})])
def test_masks_of_one_class(tmp_path: Path, on: int, options: dict) -> None:
    """0/1, 0/255 and 0/255 through JPEG at quality 75, whose faint rims are nothing, in any piece."""
    pixels = np.zeros((SIZE, SIZE), np.uint8)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    inside = (rows - 90) ** 2 + (columns - 110) ** 2 < 40**2
    pixels[inside] = on
    if options:
        options = {**options, "compressionargs": {"level": 75}}
    entry = SlideEntry("s", "s.tif", mask=str(mask_tiff(tmp_path / "s_mask.tif", pixels, **options)))
    with open_slide(entry.mask) as stored:
        raw = stored.read(0, 0, 0, SIZE, SIZE, background=0)[..., 0]
    assert bool(options) == bool(((raw > 0) & (raw < 255) & (on == 255)).any())
    with open_truth(entry, INFO, 1.0, ONE_CLASS) as truth:
        found = truth.labels(0, 0, SIZE, SIZE)
        pieces = [[truth.labels(x, y, 13, 13) for x in range(0, 195, 13)] for y in range(0, 195, 13)]
    assert np.array_equal(np.block(pieces), found[:195, :195])
    if options:
        assert (found != inside).mean() < 0.001
    else:
        assert np.array_equal(found, inside)


@pytest.mark.parametrize(
    ("values", "labels", "reason"),
    [
        ((1, 2, 3), ONE_CLASS, "holds the values 2, 3; the recipe has one class"),
        ((1, 2, 3), CLASSES, "holds the value 3; the recipe's classes are 1 to 2"),
        ((255,), CLASSES, "holds the value 255"),
    ],
)
def test_values_that_are_no_labels_are_named(
    tmp_path: Path, values: tuple[int, ...], labels: Labels, reason: str
) -> None:
    pixels = np.zeros((SIZE, SIZE), np.uint8)
    pixels[: len(values), 0] = values
    entry = SlideEntry("s", "s.tif", mask=str(mask_tiff(tmp_path / "s_mask.tif", pixels)))
    with (
        open_truth(entry, INFO, 1.0, labels) as truth,
        pytest.raises(AnnotationError, match=r"s_mask\.tif " + reason),
    ):
        truth.labels(0, 0, 64, 64)


def test_a_colored_mask_of_several_classes_is_refused(tmp_path: Path) -> None:
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    pixels[3, 3] = (0, 2, 1)
    mask_tiff(tmp_path / "s_mask.tif", pixels, photometric="rgb")
    with open_slide(str(tmp_path / "s_mask.tif")) as mask, pytest.raises(AnnotationError, match="is colored"):
        MaskValues(mask, 2).labels(0, 0, 0, 64, 64)


def test_a_mask_of_another_size_than_its_slide_is_refused(tmp_path: Path) -> None:
    mask = mask_tiff(tmp_path / "s_mask.tif", np.zeros((128, 192), np.uint8))
    with (
        pytest.raises(AnnotationError, match=r"s_mask\.tif is 192x128 px, its slide 200x200; export it at level 0"),
        open_truth(SlideEntry("s", "s.tif", mask=str(mask)), INFO, 1.0, ONE_CLASS),
    ):
        pass


@pytest.mark.parametrize("damage", [None, b"this is not an image"])
def test_a_mask_that_cannot_be_opened_is_an_annotation_error(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "s_mask.tif"
    if damage is not None:
        path.write_bytes(damage)
    with (
        pytest.raises(AnnotationError, match=r"mask: .*s_mask\.tif"),
        open_truth(SlideEntry("s", "s.tif", mask=str(path)), INFO, 1.0, ONE_CLASS),
    ):
        pass


def test_tumor_on_a_slide_declared_normal_is_refused(tmp_path: Path) -> None:
    annotation = asap(tmp_path / "s.xml", ("Tumor", square(0, 0, 9)))
    pixels = np.zeros((SIZE, SIZE), np.uint8)
    pixels[50:60, 50:60] = 1
    normal = SlideEntry("s", "s.tif", is_normal=True)
    with (
        pytest.raises(AnnotationError, match=r"s is declared normal, yet .*s\.xml shows tumor"),
        open_truth(replace(normal, annotation=str(annotation)), INFO, 1.0, ONE_CLASS),
    ):
        pass
    masked = replace(normal, mask=str(mask_tiff(tmp_path / "s_mask.tif", pixels)))
    with open_truth(masked, INFO, 1.0, ONE_CLASS) as truth:
        assert not truth.labels(100, 100, 50, 50).any()
        with pytest.raises(AnnotationError, match=r"s is declared normal, yet .*s_mask\.tif shows tumor"):
            truth.labels(40, 40, 50, 50)


def test_a_slide_is_normal_only_when_it_is_declared_so() -> None:
    with open_truth(SlideEntry("s", "s.tif", is_normal=True), INFO, 1.0, ONE_CLASS) as truth:
        assert not truth.labels(0, 0, 5, 5).any()
    with open_truth(SlideEntry("s", "s.tif"), INFO, 1.0, ONE_CLASS) as truth:
        assert truth is None
