"""The GeoJSON holds the areas of cells at or above the threshold: valid, with their holes, places and measurements."""

import json
from pathlib import Path

import geojson
import numpy as np
import pytest
import shapely
from scipy import ndimage

from inference.heatmaps import polygons
from inference.heatmaps.components import connected_areas
from inference.heatmaps.polygons import write_polygons
from inference.heatmaps.tile_store import SIDE
from preprocessing.annotations import read_regions
from preprocessing.polygon_raster import BurnOrder, burn
from preprocessing.tiling_settings import Labels
from tests.inference.heatmaps.slow import Array, cell_map

FIRST, STEP, MPP = (330.0, 250.0), 100.0, 0.5


def noise(shape: tuple[int, int], seed: int, smooth: float = 0) -> Array:
    """Probabilities with gaps; the smoother, the larger the areas."""
    rng = np.random.default_rng(seed)
    values = ndimage.gaussian_filter(rng.random(shape), smooth) if smooth else rng.random(shape)
    values = ((values - values.min()) / np.ptp(values)).astype(np.float32)
    values[rng.random(shape) < 0.05] = np.nan
    return values


def features_of(
    path: Path, values: Array, threshold: float, mpp: float | None = MPP, step: float = STEP
) -> list[dict[str, object]]:
    with cell_map(values, FIRST, step) as cells:
        count = write_polygons(path, cells, threshold, mpp)
    collection = geojson.loads(path.read_text())
    assert isinstance(collection, geojson.FeatureCollection)
    assert collection.is_valid, collection.errors()
    assert len(collection["features"]) == count
    return list(collection["features"])


@pytest.mark.parametrize(("seed", "smooth"), [(1, 0), (2, 0), (3, 1), (4, 3), (5, 6)])
def test_each_connected_area_is_a_valid_polygon_of_its_size(tmp_path: Path, seed: int, smooth: float) -> None:
    values = noise((61, 83), seed, smooth)
    labels, count = ndimage.label(values >= np.float32(0.5))  # along edges
    found = features_of(tmp_path / "s.geojson", values, 0.5)
    assert len(found) == count
    left, top = FIRST[0] - STEP / 2, FIRST[1] - STEP / 2
    seen = set()
    for feature in found:
        shape = shapely.geometry.shape(feature["geometry"])
        assert shape.is_valid
        assert shape.geom_type == "Polygon"
        inner = shape.representative_point()
        label = labels[int((inner.y - top) // STEP), int((inner.x - left) // STEP)]
        mine = labels == label
        seen.add(label)
        assert shape.area == pytest.approx(mine.sum() * STEP**2)
        assert feature["properties"]["measurements"] == {
            "probability max": pytest.approx(values[mine].max(), abs=1e-6),
            "probability mean": pytest.approx(values[mine].mean(dtype=float), abs=1e-6),
            "area mm2": pytest.approx(mine.sum() * (STEP * MPP / 1000) ** 2),
        }
    assert seen == set(range(1, count + 1))


@pytest.mark.parametrize("shape", [(2 * SIDE + 9, SIDE + 40), (SIDE + 3, 3 * SIDE)])
def test_areas_go_over_the_borders_of_tiles(tmp_path: Path, shape: tuple[int, int]) -> None:
    values = noise(shape, 7, 12)
    values[:: SIDE // 4, :] = 0.9  # lines that meet every border
    labels, count = ndimage.label(values >= np.float32(0.55))
    found = features_of(tmp_path / "s.geojson", values, 0.55)
    assert len(found) == count
    sizes = sorted(np.bincount(labels.ravel())[1:] * STEP**2)
    assert sorted(shapely.geometry.shape(f["geometry"]).area for f in found) == pytest.approx(sizes)
    with cell_map(values) as cells:
        areas = connected_areas(cells, 0.55)
    assert sorted(area.cells for area in areas.values()) == sorted(np.bincount(labels.ravel())[1:])
    for (row, column), area in areas.items():
        mine = labels == labels[row, column]
        assert (row, column) == tuple(int(index[0]) for index in np.nonzero(mine))
        assert area.highest == values[mine].max()
        assert area.mean == pytest.approx(values[mine].mean(dtype=float))


def test_a_threshold_that_is_no_float32_takes_what_is_equal() -> None:
    with cell_map(np.float32([[0.3, 0.29]])) as cells:
        assert [area.cells for area in connected_areas(cells, 0.3).values()] == [1]


@pytest.mark.parametrize("smooth", [0, 2])
def test_the_project_reads_it_as_an_annotation_of_the_same_cells(tmp_path: Path, smooth: float) -> None:
    values = noise((40, 50), 9, smooth)
    features_of(tmp_path / "s.geojson", values, 0.6)
    regions = read_regions(str(tmp_path / "s.geojson"), Labels())
    assert not any(region.note for region in regions)  # nothing had to be repaired
    corner = (int(FIRST[0] - STEP / 2), int(FIRST[1] - STEP / 2))
    shift = (corner[0] // 10, corner[1] // 10)
    burnt = burn(BurnOrder.of(regions), *shift, 500, 400, 10.0)  # ten pixels a cell
    wanted = np.kron(values >= np.float32(0.6), np.ones((10, 10), bool))
    np.testing.assert_array_equal(burnt > 0, wanted)


def test_cells_that_meet_at_a_corner_are_two_and_a_hole_stays_one(tmp_path: Path) -> None:
    values = np.zeros((7, 7), np.float32)
    values[0:3, 0:3] = 0.9
    values[1, 1] = 0.1
    values[3, 3] = 0.8
    ring, single = features_of(tmp_path / "s.geojson", values, 0.5)
    assert len(ring["geometry"]["coordinates"]) == 2
    assert len(single["geometry"]["coordinates"]) == 1
    hole = shapely.Polygon(ring["geometry"]["coordinates"][1])
    assert hole.bounds == (380.0, 300.0, 480.0, 400.0)
    assert shapely.geometry.shape(single["geometry"]).bounds == (580.0, 500.0, 680.0, 600.0)


def test_properties_are_what_qupath_reads(tmp_path: Path) -> None:
    (known,) = features_of(tmp_path / "s.geojson", np.float32([[0.75]]), 0.5)
    assert known["properties"] == {
        "objectType": "annotation",
        "classification": {"name": "Tumor"},
        "measurements": {"probability max": 0.75, "probability mean": 0.75, "area mm2": pytest.approx(0.0025)},
    }
    (unknown,) = features_of(tmp_path / "s.geojson", np.float32([[0.75]]), 0.5, mpp=None)
    assert unknown["properties"]["measurements"] == {"probability max": 0.75, "probability mean": 0.75}


@pytest.mark.parametrize("values", [np.zeros((5, 5)), np.full((5, 5), np.nan), np.zeros((0, 0))])
def test_nothing_above_is_a_collection_without_features(tmp_path: Path, values: Array) -> None:
    path = tmp_path / "s.geojson"
    with cell_map(values, FIRST, STEP) as cells:
        assert write_polygons(path, cells, 0.5, MPP) == 0
    assert json.loads(path.read_text()) == {"type": "FeatureCollection", "features": []}
    assert read_regions(str(path), Labels()) == ()


def test_a_slide_of_too_many_cells_is_outlined_in_coarser_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with the highest probability of its cells, so that none is lost."""
    monkeypatch.setattr(polygons, "MOST_CELLS", 100)
    values = np.zeros((250, 130), np.float32)
    values[0, 0], values[100, 50], values[101, 51], values[249, 129] = 0.6, 0.7, 0.8, 0.9
    found = features_of(tmp_path / "s.geojson", values, 0.5, step=20.0)
    side = 3 * 20
    boxes = {shapely.geometry.shape(f["geometry"]).bounds: f["properties"]["measurements"] for f in found}
    corner = (FIRST[0] - 10, FIRST[1] - 10)
    wanted = {(0, 0): 0.6, (33, 16): 0.7, (33, 17): 0.8, (83, 43): 0.9}
    assert len(boxes) == 3  # the two in the middle meet along an edge
    assert sorted(measured["probability max"] for measured in boxes.values()) == pytest.approx([0.6, 0.8, 0.9])
    for (row, column), probability in wanted.items():
        x, y = corner[0] + (column + 0.5) * side, corner[1] + (row + 0.5) * side
        (inside,) = [box for box in boxes if shapely.box(*box).contains(shapely.Point(x, y))]
        assert boxes[inside]["probability max"] >= probability - 1e-6
