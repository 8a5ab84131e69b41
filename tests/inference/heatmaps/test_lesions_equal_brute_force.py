"""Lesions are those of the published rule: take the maximum, clear a disk, repeat while above the threshold."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.heatmaps import tile_store
from inference.heatmaps.lesions import Lesion, find_lesions
from inference.heatmaps.tile_store import HELD, SIDE, TileStore
from tests.inference.heatmaps.slow import cell_map
from tests.inference.slow import lesions_one_by_one

STEP, FIRST = 50.0, (130.0, 240.0)


def lesions_of(values: NDArray[np.float32], threshold: float, radius: int, step: float = STEP) -> list[Lesion]:
    with cell_map(values, FIRST, step) as cells:
        return find_lesions(cells, threshold, radius)


def flat(rows: int = 21, columns: int = 21) -> NDArray[np.float32]:
    return np.zeros((rows, columns), np.float32)


def cells(values: NDArray[np.float32], step: float = STEP) -> list[tuple[float, float, float]]:
    return [
        (FIRST[0] + column * step, FIRST[1] + row * step, float(values[row, column]))
        for row in range(values.shape[0])
        for column in range(values.shape[1])
        if not np.isnan(values[row, column])
    ]


@pytest.mark.parametrize("seed", range(12))
def test_random_maps_with_gaps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 40, 2)
    values = rng.random(shape).astype(np.float32)
    if seed % 2:
        values = np.round(values, 1).astype(np.float32)  # many equal maxima
    values[rng.random(shape) < 0.3] = np.nan
    step, threshold, radius = (
        float(rng.integers(20, 120)),
        float(rng.choice([0.0, 0.25, 0.5])),
        int(rng.integers(1, 400)),
    )
    got = lesions_of(values, threshold, radius, step)
    assert [(lesion.x, lesion.y, lesion.probability) for lesion in got] == lesions_one_by_one(
        cells(values, step), threshold, radius
    )


def test_nothing_above_the_threshold_is_no_lesion() -> None:
    values = flat()
    values[3, 3] = 0.49
    assert lesions_of(values, 0.5, 200) == []


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_probability_equal_to_the_threshold_is_no_lesion(threshold: float) -> None:
    """Also where the threshold is no float32 number: 0.3 as float32 lies above 0.3."""
    values = flat()
    values[3, 3] = threshold
    assert lesions_of(values, threshold, 200) == []
    values[3, 3] = np.nextafter(np.float32(threshold), np.float32(1))
    assert len(lesions_of(values, threshold, 200)) == 1


@pytest.mark.parametrize(
    ("columns_apart", "wanted"),
    [(3, [0.9]), (4, [0.9]), (5, [0.9, 0.8])],
    ids=["closer than the radius", "at the radius", "farther than the radius"],
)
def test_two_maxima_are_one_lesion_within_the_radius(columns_apart: int, wanted: list[float]) -> None:
    values = flat()
    values[10, 8], values[10, 8 + columns_apart] = 0.9, 0.8
    found = lesions_of(values, 0.5, 200)
    assert [lesion.probability for lesion in found] == pytest.approx(wanted)


def test_the_cleared_area_is_round() -> None:
    values = flat()
    values[10, 10], values[13, 13] = 0.9, 0.8  # 3 columns and 3 rows away, 212 px by air
    assert len(lesions_of(values, 0.5, 200)) == 2
    assert len(lesions_of(values, 0.5, 213)) == 1


def test_a_radius_below_one_step_clears_only_the_maximum() -> None:
    values = np.full((3, 4), 0.75, np.float32)
    assert len(lesions_of(values, 0.5, 49)) == 12


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 20), (20, 0), (20, 20), (0, 7)])
def test_a_maximum_at_the_rim_lies_at_its_cell_and_does_not_clear_the_other_side(row: int, column: int) -> None:
    values = flat()
    values[row, column], values[20 - row, 20 - column] = 0.9, 0.8
    found = lesions_of(values, 0.5, 400)
    assert found == [
        Lesion(130 + column * 50, 240 + row * 50, float(np.float32(0.9))),
        Lesion(130 + (20 - column) * 50, 240 + (20 - row) * 50, float(np.float32(0.8))),
    ]


def test_a_map_without_one_judged_cell_has_no_lesion() -> None:
    assert lesions_of(np.full((4, 4), np.nan), 0.0, 100) == []


@pytest.mark.parametrize("seed", range(6))
def test_maps_of_several_tiles(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Disks and equal maxima on both sides of the borders, and so few tiles in memory that they come and go."""
    monkeypatch.setattr(tile_store, "HELD", 2)
    rng = np.random.default_rng(seed)
    values = np.full((2 * SIDE + 5, 2 * SIDE + 70), np.nan, np.float32)
    for row, column in zip(rng.integers(0, len(values), 600), rng.integers(0, values.shape[1], 600), strict=True):
        values[row, column] = rng.random()
    for border in (SIDE, 2 * SIDE):
        near = slice(border - 3, border + 3)
        values[near, 10:600:7] = rng.random(values[near, 10:600:7].shape)
        values[10:500:7, near] = rng.random(values[10:500:7, near].shape)
    if seed % 2:
        values = np.round(values, 1).astype(np.float32)
    radius = int(rng.choice([60, 150, 500, 3000]))
    found = [(lesion.x, lesion.y, lesion.probability) for lesion in lesions_of(values, 0.5, radius)]
    assert found == lesions_one_by_one(cells(values), 0.5, radius)


def test_of_equal_maxima_the_first_in_raster_order_of_the_whole_map_is_taken() -> None:
    """Not of the tiles: the tile on the right holds the upper one."""
    values = np.zeros((SIDE, 2 * SIDE), np.float32)
    values[200, 10], values[100, SIDE + 10], values[100, SIDE + 50] = 0.9, 0.9, 0.9
    places = [((lesion.y - 240) / 50, (lesion.x - 130) / 50) for lesion in lesions_of(values, 0.5, 100)]
    assert places == [(100, SIDE + 10), (100, SIDE + 50), (200, 10)]


def test_only_tiles_with_something_above_the_threshold_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """A map of 100 tiles, one of which holds a lesion: the working copy is that one, and memory stays bounded."""
    stores: list[TileStore] = []
    made = TileStore.__init__

    def remembered(store: TileStore, rows: int, columns: int) -> None:
        made(store, rows, columns)
        stores.append(store)

    monkeypatch.setattr(TileStore, "__init__", remembered)
    values = np.full((10 * SIDE, 10 * SIDE), 0.4, np.float32)
    values[700, 900] = 0.9
    assert len(lesions_of(values, 0.5, 400)) == 1
    of_cells, copy = stores
    assert of_cells.tiles == 100
    assert of_cells.held <= HELD
    assert copy.tiles == 1
