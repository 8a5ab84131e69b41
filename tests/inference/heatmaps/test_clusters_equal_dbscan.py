"""Lesions of the kind `clusters` are those of scikit-learn's DBSCAN on the list of windows."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN

from inference.heatmaps import clusters, tile_store
from inference.heatmaps.clusters import TooManyClustersError, find_clusters
from inference.heatmaps.lesions import Lesion
from inference.heatmaps.tile_store import SIDE
from preprocessing.inference_settings import Clusters
from tests.inference.heatmaps.slow import cell_map

FIRST = (32.0, 48.0)

Found = list[tuple[float, float, float]]


def by_sklearn(values: NDArray[np.float32], step: float, threshold: float, radius: int, settings: Clusters) -> Found:
    rows, columns = np.nonzero(values >= np.float32(threshold))  # in raster order
    if not len(rows):
        return []
    xy = np.stack([FIRST[0] + columns * step, FIRST[1] + rows * step], axis=1)
    labels = DBSCAN(eps=radius, min_samples=settings.windows).fit(xy).labels_
    found = []
    for label in range(labels.max() + 1):
        mine, weights = xy[labels == label], values[rows, columns][labels == label].astype(np.float64)
        if weights.mean() >= settings.probability:
            center = np.average(mine, axis=0, weights=weights)
            found.append((float(center[0]), float(center[1]), float(weights.mean())))
    return sorted(found, key=lambda it: -it[2])  # stable: raster order of the first core


def same(got: list[Lesion], wanted: Found) -> None:
    assert len(got) == len(wanted)
    for lesion, (x, y, probability) in zip(got, wanted, strict=True):
        assert (abs(lesion.x - x) <= 0.5 + 1e-6, abs(lesion.y - y) <= 0.5 + 1e-6) == (True, True)
        assert lesion.probability == pytest.approx(probability)


def of_map(values: NDArray[np.float32], step: float, threshold: float, radius: int, settings: Clusters) -> list[Lesion]:
    with cell_map(values, FIRST, step) as cells:
        return find_clusters(cells, threshold, radius, settings)


@pytest.mark.parametrize("seed", range(40))
def test_random_maps_with_gaps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 50, 2)
    values = rng.random(shape).astype(np.float32)
    values[rng.random(shape) < 0.2] = np.nan
    step, radius = float(rng.choice([16, 20])), int(rng.choice([10, 16, 40, 60, 64, 100]))
    settings = Clusters(windows=int(rng.integers(1, 7)), probability=float(rng.choice([0.0, 0.59, 0.95])))
    threshold = float(rng.choice([0.4, 0.9, 0.95, 0.99]))
    same(of_map(values, step, threshold, radius, settings), by_sklearn(values, step, threshold, radius, settings))


def diagonals(values: NDArray[np.float32]) -> None:
    """Long clusters over the corners of tiles, in pieces of their own in each."""
    for start in range(0, values.shape[1], 40):
        steps = np.arange(0, values.shape[0], 2)
        columns = (start + steps) % values.shape[1]
        values[steps, columns] = np.linspace(0.5, 0.99, len(steps))


def borders(values: NDArray[np.float32]) -> None:
    rng = np.random.default_rng(5)
    for border in (SIDE, 2 * SIDE):
        near = slice(border - 5, border + 5)
        values[near, 10:600:3] = rng.random(values[near, 10:600:3].shape)
        values[10:500:3, near] = rng.random(values[10:500:3, near].shape)


def combs(values: NDArray[np.float32]) -> None:
    """A cluster that is many pieces in one tile, which only the tile beside it joins."""
    values[5:SIDE:7, SIDE - 60 : SIDE + 1] = 0.9
    values[5:SIDE, SIDE + 1] = 0.6


@pytest.mark.parametrize("paint", [diagonals, borders, combs])
@pytest.mark.parametrize(("radius", "windows"), [(16, 2), (60, 2), (60, 9), (150, 5)])
def test_maps_of_several_tiles(
    paint: Callable[[NDArray[np.float32]], None], radius: int, windows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With so few tiles in memory that they come and go."""
    monkeypatch.setattr(tile_store, "HELD", 2)
    values = np.full((2 * SIDE + 5, 2 * SIDE + 70), np.nan, np.float32)
    paint(values)
    settings = Clusters(windows=windows, probability=0.5)
    wanted = by_sklearn(values, 16.0, 0.4, radius, settings)
    assert wanted or (radius, windows) != (60, 2)
    same(of_map(values, 16.0, 0.4, radius, settings), wanted)


def test_a_window_between_two_clusters_belongs_to_the_first() -> None:
    """In raster order of the clusters' first cores; it is no core itself."""
    values = np.full((12, 12), np.nan, np.float32)
    values[2:5, 1], values[3, 3], values[1:6, 5] = 0.9, 0.7, 0.8
    settings = Clusters(windows=4, probability=0.0)
    wanted = by_sklearn(values, 16.0, 0.5, 32, settings)
    assert len(wanted) == 2
    same(of_map(values, 16.0, 0.5, 32, settings), wanted)


def test_lone_windows_are_noise_and_a_threshold_counts_itself() -> None:
    values = np.full((9, 9), np.nan, np.float32)
    values[1, 1], values[5, 5], values[5, 6] = 0.99, 0.3, 0.5
    assert of_map(values, 16.0, 0.3, 60, Clusters(windows=2, probability=0.4)) == [Lesion(122, 128, pytest.approx(0.4))]
    assert of_map(values, 16.0, 0.3, 60, Clusters(windows=2, probability=0.41)) == []
    assert of_map(values, 16.0, 0.31, 60, Clusters(windows=2, probability=0.0)) == []


def test_nothing_judged_is_no_cluster() -> None:
    assert of_map(np.full((4, 4), np.nan, np.float32), 16.0, 0.0, 60, Clusters()) == []


def test_clusters_beyond_all_measure_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "MOST", 49)
    values = np.full((20, 20), np.nan, np.float32)
    values[::2, ::2] = 0.9
    with pytest.raises(TooManyClustersError, match=r"more than 49 groups.*raise inference\.threshold"):
        of_map(values, 16.0, 0.5, 10, Clusters(windows=1))
