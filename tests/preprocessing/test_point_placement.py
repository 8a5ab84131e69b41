"""Windows around points and far from them, against loops over every window and every point."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from preprocessing.grid import Grid, blocks
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.marks import Marks
from preprocessing.placement_settings import AroundPoints
from preprocessing.point_placement import point_marks
from preprocessing.points import Points
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from preprocessing.scales import SlideScale
from tests.conftest import ROOT
from tests.preprocessing.annotation_files import feature, geojson
from tests.preprocessing.flat_slides import flat_slide
from tests.tables import ledger_of, patches_of

Found = dict[tuple[int, int], tuple[int, bool]]


def gathered(marks: Marks, grid: Grid, width: int, height: int, side: int) -> tuple[Found, int]:
    """All windows of a slide with label and certainty, over blocks of a side; and how many were left out."""
    found: Found = {}
    squares = list(blocks(grid, width, height, side))
    for block in squares:
        windows = marks.windows(block, block.origins(grid, width, height))
        rows = zip(windows.origins.tolist(), windows.label.tolist(), windows.certain.tolist(), strict=True)
        for (x, y), label, certain in rows:
            assert (x, y) not in found
            found[x, y] = label, certain
    return found, marks.lost(squares)


def slowly(points: Points, downsample: float, grid: Grid, width: int, height: int, least: int) -> tuple[Found, int]:
    found: Found = {}
    places = [(x / downsample, y / downsample) for x, y in points.xy]
    rows, columns = (range(0, size - grid.window + 1, grid.stride) for size in (height, width))
    for y, x in itertools.product(rows, columns):
        center = x + grid.window / 2, y + grid.window / 2
        if all(math.dist(center, place) >= least for place in places):
            found[x, y] = 0, False
    lost = 0
    for (x, y), label in sorted(zip(places, points.labels.tolist(), strict=True), key=lambda marked: marked[1]):
        left, top = math.floor(x) - grid.window // 2, math.floor(y) - grid.window // 2
        if 0 <= left <= width - grid.window and 0 <= top <= height - grid.window:
            found[left, top] = label, True
        else:
            lost += 1
    return found, lost


@pytest.mark.parametrize(("window", "stride", "downsample"), [(16, 4, 1.0), (15, 7, 1.0), (8, 8, 2.0), (9, 5, 2.0016)])
def test_windows_are_those_of_slow_loops_whatever_the_blocks(window: int, stride: int, downsample: float) -> None:
    width, height = 203, 150
    rng = np.random.default_rng(window)
    xy = rng.random((30, 2)) * (width * downsample - 1e-6, height * downsample - 1e-6)
    xy[:4] = np.floor(xy[:4])
    xy = np.concatenate([xy, xy[:1] + 0.01, xy[4:5], [[0, 0]], [[width * downsample - 0.1, 75]]])  # twins, and corners
    points = Points(xy, rng.integers(0, 3, len(xy)).astype(np.int32), ("point",) * len(xy))
    finest = SlideScale(0, 1.0, downsample, width, height, None, None)
    marks = point_marks(points, finest, window, AroundPoints(kind="points", min_distance=13))
    grid = Grid(window, stride)
    wanted, lost = slowly(points, downsample, grid, width, height, 13)
    assert {label for label, certain in wanted.values() if certain} == {0, 1, 2}
    assert lost > 0
    for side in (16, 37, 64, 500):
        assert gathered(marks, grid, width, height, side) == (wanted, lost)


def test_a_window_exactly_at_the_distance_stays_and_a_place_is_one_patch() -> None:
    """The window of the point itself lies on the grid; with a distance below a pixel both would be there."""
    finest = SlideScale(0, 1.0, 1.0, 100, 100, None, None)
    points = Points(np.array([[40.9, 40.9]]), np.array([1], np.int32), ("p",))
    near = gathered(
        point_marks(points, finest, 20, AroundPoints(kind="points", min_distance=1)), Grid(20, 10), 100, 100, 64
    )
    assert near[0][30, 30] == (1, True)
    assert len(near[0]) == 81
    exact = Points(np.array([[50.0, 50.0]]), np.array([1], np.int32), ("p",))
    far = gathered(
        point_marks(exact, finest, 20, AroundPoints(kind="points", min_distance=20)), Grid(20, 10), 100, 100, 64
    )
    assert far[0][20, 40] == (0, False)  # its center is 20 px to the left
    assert (30, 40) not in far[0]


def test_the_largest_slide_has_room_for_its_last_point() -> None:
    edge = 2**31 - 1
    finest = SlideScale(0, 1.0, 1.0, edge, edge, None, None)
    points = Points(np.array([[edge - 32.0, edge - 32.0], [edge - 31.0, 5.0]]), np.array([1, 1], np.int32), ("a", "b"))
    marks = point_marks(points, finest, 64, AroundPoints(kind="points"))
    assert marks.origins.tolist() == [[edge - 64, edge - 64]]
    assert marks.left_out.tolist() == [[edge - 64, 0]]


def recipe_of_points(*overrides: str) -> Recipe:
    return load_recipe(
        str(ROOT / "conf" / "level0.yaml"),
        [
            "tiling.placement={kind: points, min_distance: 40}",
            "tiling.window=32", "tiling.center=16", "tiling.stride=16", "tiling.margin=0", "tiling.block=96",
            "tiling.labels.classes={mitosis: [Mitosis]}", "tiling.labels.excluded=[hard_negative]",
            "tiling.labels.normal_slides=['empty*']", "tiling.tissue.min_fraction=0.5",
            "tiling.sampling={normals_per_tumor: 3.0, from_slides_without_tumor: 20}", "tiling.splits={}",
            *overrides,
        ],
    )  # fmt: skip


def test_slides_with_points_become_a_table(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A table, drawings with hard negatives, a slide declared normal, one that nobody looked at, one that is wrong."""
    slides = tmp_path / "slides"
    slides.mkdir()
    for number, name in enumerate(("table", "drawn", "empty", "unknown", "wrong")):
        flat_slide(slides / f"{name}.png", 320, 256, glass=120, seed=number)
    (slides / "table.csv").write_text("100,200\n110,204\n5,200\n60,20\n")  # two close together; at the edge; on glass
    places = {"Mitosis": [[250.5, 60.5]], "hard_negative": [[200, 200], [290, 200]]}
    drawn = [
        feature({"type": "MultiPoint", "coordinates": at}, classification={"name": group})
        for group, at in places.items()
    ]
    geojson(slides / "drawn.geojson", {"type": "FeatureCollection", "features": drawn})
    (slides / "wrong.csv").write_text("100,320\n")
    recipe = recipe_of_points()
    out = tmp_path / "out"
    summary = run_tiling(spark, recipe, inventory(str(slides), recipe.tiling, recipe.seed), str(out))
    assert (summary.done, summary.failed, summary.positives) == (4, 1, 4)
    assert "line 1 has a point at x 320, y 100, outside the slide of 320x256 px" in summary.faults[0]
    assert "table: 1 windows of its marked places" in caplog.text
    found = patches_of(out)
    marked = {
        "table": {(184, 84): 1, (188, 94): 1, (4, 44): 1},
        "drawn": {(234, 44): 1, (184, 184): 0, (274, 184): 0},
    }
    for slide_id, wanted in marked.items():
        mine = found[found["slide_id"] == slide_id]
        got = dict(zip(zip(mine["x"], mine["y"], strict=True), mine["label"], strict=True))
        assert got.items() >= wanted.items()
        others = [place for place in got if place not in wanted]
        assert len(others) == 3 * sum(wanted.values())
        for x, y in others:
            assert (x % 16, y % 16, got[x, y]) == (0, 0, 0)
            assert x + 16 > 120  # the tissue rule holds for them
            assert all(math.dist((x, y), mark) > 39 for mark in wanted)
    assert found["center_fraction"].isna().all()
    assert (found[found["slide_id"] == "empty"]["label"] == 0).all()
    assert found[found["slide_id"] == "unknown"]["label"].isna().all()
    ledger = ledger_of(out).set_index("slide_id")
    assert ledger["left_out"].to_dict() == {"table": 1, "drawn": 0, "empty": 0, "unknown": 0, "wrong": 0}
    assert ledger["candidates"]["table"] > ledger["patches"]["table"] == 12


def test_conflicts_of_points_and_slides_fail_the_slide(spark: SparkSession, tmp_path: Path) -> None:
    slides = tmp_path / "slides"
    slides.mkdir()
    for name in ("empty_1", "empty_2", "masked"):
        flat_slide(slides / f"{name}.png", 128, 128, glass=0)
    (slides / "empty_1.csv").write_text("60,60\n")
    (slides / "empty_2.csv").write_text("")
    flat_slide(slides / "masked_mask.png", 128, 128, glass=0)
    recipe = recipe_of_points("tiling.sampling={normals_per_tumor: null, from_slides_without_tumor: null}")
    summary = run_tiling(spark, recipe, inventory(str(slides), recipe.tiling, recipe.seed), str(tmp_path / "out"))
    assert (summary.done, summary.failed) == (1, 2)
    assert "empty_1 is declared normal, yet" in summary.faults[0]
    assert "shows areas, and tiling.placement.kind is points" in summary.faults[1]
    assert len(patches_of(tmp_path / "out", "empty_2")) == 49  # in one pass, as nothing is drawn
