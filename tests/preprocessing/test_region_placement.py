"""Windows on marked regions, against the published procedure done pixel by pixel; and windows that show no region."""

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pyspark.sql import SparkSession

from preprocessing.errors import AnnotationError
from preprocessing.grid import Grid, blocks
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.marked_regions import MarkedRegion, marked_regions
from preprocessing.placement_settings import InRegions, OnRegionCenters
from preprocessing.readers.base import SlideInfo
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from preprocessing.region_placement import region_key, region_marks
from preprocessing.scales import SlideScale
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Labels
from tests.conftest import ROOT
from tests.preprocessing.annotation_files import feature, geojson, polygon, square
from tests.preprocessing.flat_slides import flat_slide
from tests.tables import ledger_of, patches_of

LABELS = Labels(classes={"mass": ("Mass",), "calcification": ("Calc",)}, excluded=("Hole",))
WIDTH, HEIGHT, WINDOW = 160, 120, 24
INFO = SlideInfo(((WIDTH, HEIGHT),), (1.0,), None, None, "test")
FINEST = SlideScale(0, 1.0, 1.0, WIDTH, HEIGHT, None, None)
S10 = InRegions(kind="regions")


def painted(*shapes: tuple[slice, slice]) -> list[np.ndarray]:
    """One picture of the whole slide for each region."""
    pictures = []
    for rows, columns in shapes:
        picture = np.zeros((HEIGHT, WIDTH), bool)
        picture[rows, columns] = True
        pictures.append(picture)
    return pictures


def region_of(picture: np.ndarray, label: int = 1, step: int = 1) -> MarkedRegion:
    rows, columns = np.nonzero(picture)
    top, left = int(rows.min()), int(columns.min())
    inside = picture[top : rows.max() + 1, left : columns.max() + 1]
    return MarkedRegion(label, left * step, top * step, step, inside)


def slow_overlap(picture: np.ndarray, x: int, y: int, window: int = WINDOW) -> float:
    shared = sum(bool(picture[row, column]) for row in range(y, y + window) for column in range(x, x + window))
    return max(shared / picture.sum(), shared / window**2)


def slow_key(*parts: object) -> int:
    return int.from_bytes(hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest(), "big") >> 1


def slow_draw(key: int, number: int) -> tuple[int, int]:
    """Two halves of SplitMix64, in Python's own integers."""
    z = ((number ^ key) + 0x9E3779B97F4A7C15) % 2**64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
    z ^= z >> 31
    return z >> 32, z % 2**32


def slow_windows(pictures: list[np.ndarray], per_region: int, seed: int) -> list[tuple[int, int, int]]:
    """The published loop: draw a center in the bounding box, try, and after 1000 failures in a row ask 0.05 less."""
    key, found = slow_key("regions", seed, "s"), []
    for number, picture in enumerate(pictures):
        rows, columns = np.nonzero(picture)
        own_key, cutoff, failures, mine = slow_key("region", key, number), 0.9, 0, 0
        for turn in itertools.count():
            if mine == per_region or cutoff < 1e-9:
                break
            right, down = slow_draw(own_key, turn)
            center_x = columns.min() + right % (np.ptp(columns) + 1)
            center_y = rows.min() + down % (np.ptp(rows) + 1)
            x = min(max(center_x - WINDOW // 2, 0), WIDTH - WINDOW)
            y = min(max(center_y - WINDOW // 2, 0), HEIGHT - WINDOW)
            overlap = max(
                picture[y : y + WINDOW, x : x + WINDOW].sum() / picture.sum(),
                picture[y : y + WINDOW, x : x + WINDOW].sum() / WINDOW**2,
            )
            if overlap >= cutoff and (x, y) not in [place[:2] for place in found]:
                found.append((int(x), int(y), number + 1))
                mine, failures = mine + 1, 0
            else:
                failures += 1
                if failures == 1000:
                    cutoff, failures = cutoff - 0.05, 0
    return found


SHAPES = painted(
    (slice(20, 80), slice(30, 90)),  # larger than a window
    (slice(98, 110), slice(2, 9)),  # smaller, near the edge
    (slice(90, 92), slice(40, 140)),  # a line, of which no window shows 0.9
    (slice(60, 61), slice(150, 151)),  # a pixel, which has one place
)


@pytest.mark.parametrize("seed", [1, 2])
def test_windows_are_those_of_the_published_loop(seed: int) -> None:
    regions = [region_of(picture, number) for number, picture in enumerate(SHAPES, 1)]
    marks = region_marks(regions, FINEST, WINDOW, S10, region_key("s", seed))
    found = [(x, y, label) for (x, y), label in zip(marks.origins.tolist(), marks.labels.tolist(), strict=True)]
    assert found == slow_windows(SHAPES, 10, seed)
    assert [sum(label == mine for *_, label in found) for mine in (1, 2, 3, 4)] == [10, 10, 10, 1]
    assert marks.left_out.tolist() == [[WIDTH - WINDOW, 48]] * 9


def test_overlaps_are_counted_pixels_also_of_coarse_regions() -> None:
    rng = np.random.default_rng(3)
    picture = np.kron(rng.random((30, 40)) < 0.3, np.ones((4, 4))).astype(bool)
    picture[:, :40] = picture[:8] = False
    origins = rng.integers(0, (WIDTH - WINDOW + 1, HEIGHT - WINDOW + 1), (60, 2)).astype(np.int32)
    wanted = [slow_overlap(picture, x, y) for x, y in origins.tolist()]
    assert region_of(picture).overlaps(origins, WINDOW).tolist() == wanted
    coarse = region_of(picture[::4, ::4], step=4).overlaps(origins, WINDOW)
    assert coarse == pytest.approx(np.array(wanted) * 1.0, abs=1e-12)


def test_centers_of_regions_are_taken_once_and_moved_onto_the_slide() -> None:
    placement = OnRegionCenters(kind="region_centers")
    regions = [region_of(picture) for picture in (*SHAPES, SHAPES[0])]
    marks = region_marks(regions, FINEST, WINDOW, placement, 1)
    assert marks.origins.tolist() == [[48, 38], [0, 92], [78, 79], [136, 48]]
    assert marks.left_out.tolist() == [[48, 38]]  # the twin of the first


@pytest.mark.parametrize("stride", [5, 24])
def test_background_is_what_shows_of_each_region_little_whatever_the_blocks(stride: int) -> None:
    regions = [region_of(picture, 1) for picture in SHAPES]
    marks = region_marks(regions, FINEST, WINDOW, S10, 7)
    grid = Grid(WINDOW, stride)
    marked = {tuple(place) for place in marks.origins.tolist()}
    rows, columns = (range(0, size - WINDOW + 1, stride) for size in (HEIGHT, WIDTH))
    wanted = {
        (x, y)
        for y, x in itertools.product(rows, columns)
        if all(slow_overlap(picture, x, y) <= 0.35 for picture in SHAPES) and (x, y) not in marked
    }
    for side in (24, 50, 200):
        squares = list(blocks(grid, WIDTH, HEIGHT, side))
        parts = [marks.windows(block, block.origins(grid, WIDTH, HEIGHT)) for block in squares]
        places = [tuple(place) for part in parts for place in part.origins.tolist()]
        certain = np.concatenate([part.certain for part in parts])
        assert len(set(places)) == len(places)
        assert {place for place, mark in zip(places, certain, strict=True) if not mark} == wanted
        assert {place for place, mark in zip(places, certain, strict=True) if mark} == marked
        assert marks.lost(squares) == 9


def test_regions_of_a_mask_are_its_connected_pieces(tmp_path: Path) -> None:
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[10:30, 10:30] = 1
    values[30:34, 30:33] = 1  # touches by a corner
    values[15:20, 30:40] = 2  # touches another class
    values[100:, 150:] = 2
    tifffile.imwrite(tmp_path / "s_mask.tif", values, tile=(64, 64))
    entry = SlideEntry("s", "s.tif", mask=str(tmp_path / "s_mask.tif"))
    found = marked_regions(entry, INFO, FINEST, LABELS)
    assert [(r.label, r.x, r.y, r.size, int(r.inside.sum())) for r in found] == [
        (1, 10, 10, (23, 24), 412),
        (2, 30, 15, (10, 5), 50),
        (2, 150, 100, (10, 20), 200),
    ]


def test_regions_of_polygons_are_each_its_own_and_holes_are_cut_out(tmp_path: Path) -> None:
    areas = {"a": ("Mass", square(10, 10, 40)), "b": ("Calc", square(30, 30, 40)), "c": ("Hole", square(20, 20, 20))}
    areas |= {
        "d": ("Mass", square(70.6, 70.6, 0.2)),
        "e": ("Calc", square(150, 110, 30)),
        "f": ("Mass", square(22, 22, 4)),
    }
    drawn = [
        feature(polygon(corners), name=name, classification={"name": group}) for name, (group, corners) in areas.items()
    ]
    path = geojson(tmp_path / "s.geojson", {"type": "FeatureCollection", "features": drawn})
    found = marked_regions(SlideEntry("s", "s.tif", str(path)), INFO, FINEST, LABELS)
    assert [(r.label, r.x, r.y, r.size, int(r.inside.sum())) for r in found] == [
        (1, 10, 10, (40, 40), 1200),
        (2, 30, 30, (40, 40), 1500),  # where the two overlap, both are there
        (1, 70, 70, (1, 1), 1),  # lies between the pixels' centers
        (2, 150, 110, (10, 10), 100),  # reaches beyond the slide; the last one is cut out wholly
    ]
    half = marked_regions(SlideEntry("s", "s.tif", str(path)), INFO, SlideScale(0, 2, 2, 80, 60, None, None), LABELS)
    assert [(r.x, r.y, r.size) for r in half][:2] == [(5, 5, (20, 20)), (15, 15, (20, 20))]


def test_a_slide_is_without_regions_only_if_somebody_looked(tmp_path: Path) -> None:
    assert marked_regions(SlideEntry("s", "s.tif"), INFO, FINEST, LABELS) is None
    assert marked_regions(SlideEntry("s", "s.tif", is_normal=True), INFO, FINEST, LABELS) == ()
    path = geojson(tmp_path / "s.geojson", feature(polygon(square(1, 1, 9)), classification={"name": "Mass"}))
    with pytest.raises(AnnotationError, match=r"s is declared normal, yet .*s\.geojson shows tumor"):
        marked_regions(SlideEntry("s", "s.tif", str(path), is_normal=True), INFO, FINEST, LABELS)
    tifffile.imwrite(tmp_path / "s_mask.tif", np.eye(HEIGHT, WIDTH, dtype=np.uint8), tile=(64, 64))
    masked = SlideEntry("s", "s.tif", mask=str(tmp_path / "s_mask.tif"), is_normal=True)
    with pytest.raises(AnnotationError, match=r"s is declared normal, yet .*s_mask\.tif shows tumor"):
        marked_regions(masked, INFO, FINEST, LABELS)


def test_large_regions_are_looked_at_coarsely(tmp_path: Path) -> None:
    side = 60_000
    path = geojson(tmp_path / "s.geojson", feature(polygon(square(100, 200, 50_000)), classification={"name": "Mass"}))
    info = SlideInfo(((side, side),), (1.0,), None, None, "test")
    finest = SlideScale(0, 1.0, 1.0, side, side, None, None)
    (found,) = marked_regions(SlideEntry("s", "s.tif", str(path)), info, finest, LABELS)
    assert (found.step, found.inside.size <= 1 << 25) == (9, True)
    assert np.abs(np.subtract((found.x, found.y, *found.size), (100, 200, 50_000, 50_000))).max() <= 9
    corner = np.array([[100 - 112, 25_000], [1000, 1000]], np.int32)
    assert found.overlaps(corner, 224) == pytest.approx([0.5, 1], abs=0.03)


def recipe_of_regions(*overrides: str) -> Recipe:
    return load_recipe(
        str(ROOT / "conf" / "level0.yaml"),
        [
            "tiling.window=24", "tiling.center=24", "tiling.stride=6", "tiling.margin=0", "tiling.block=64",
            "tiling.labels.classes={mass: [Mass], calcification: [Calc]}", "tiling.labels.excluded=[]",
            "tiling.labels.normal_slides=['healthy*']", "tiling.tissue={method: bright, min_fraction: 0.5}",
            "tiling.splits={}", *overrides,
        ],
    )  # fmt: skip


def test_slides_with_regions_become_a_table(spark: SparkSession, tmp_path: Path) -> None:
    """A mask, polygons, a slide declared normal; black on the left, which is no tissue."""
    slides = tmp_path / "slides"
    slides.mkdir()
    for number, name in enumerate(("masked", "drawn", "healthy")):
        flat_slide(slides / f"{name}.png", WIDTH, HEIGHT, glass=60, seed=number, of_glass=0)
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[SHAPES[0]], values[SHAPES[1]] = 1, 2
    tifffile.imwrite(slides / "masked_mask.tif", values, tile=(64, 64))
    small = feature(polygon(square(100, 40, 10)), classification={"name": "Calc"})
    geojson(slides / "drawn.geojson", small)
    recipe = recipe_of_regions("tiling.placement={kind: regions}", "tiling.sampling.from_slides_without_tumor=7")
    out = tmp_path / "out"
    summary = run_tiling(spark, recipe, inventory(str(slides), recipe.tiling, recipe.seed), str(out))
    assert (summary.done, summary.positives) == (3, 30)
    found = patches_of(out)
    counts = found.groupby(["slide_id", "label"]).size().to_dict()
    assert counts == {
        ("masked", 0): 20, ("masked", 1): 10, ("masked", 2): 10, ("drawn", 0): 10, ("drawn", 2): 10, ("healthy", 0): 7
    }  # fmt: skip
    background = found[(found["label"] == 0) & (found["slide_id"] == "masked")]
    assert (background["x"] + WINDOW / 2 > 60).all()
    shares = [slow_overlap(p, x, y) for p in SHAPES[:2] for x, y in zip(background["x"], background["y"], strict=True)]
    assert max(shares) <= 0.35
    assert (ledger_of(out)["left_out"] == 0).all()
    again = recipe_of_regions(
        "tiling.placement={kind: regions}",
        "tiling.sampling={normals_per_tumor: null, from_slides_without_tumor: null}",
        "tiling.block=200",
    )
    only = str(slides / "masked.png")
    assert run_tiling(spark, again, inventory(only, again.tiling, again.seed), str(tmp_path / "all")).done == 1
    every = patches_of(tmp_path / "all")
    places = [{*zip(t["label"], t["x"], t["y"], strict=True)} for t in (every, found[found["slide_id"] == "masked"])]
    assert places[0] > places[1]  # in one pass, in other blocks, without a draw: the same places, and more background
    assert {place for place in places[0] if place[0]} == {place for place in places[1] if place[0]}
