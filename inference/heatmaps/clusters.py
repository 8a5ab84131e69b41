"""Lesions as clusters of windows: DBSCAN (Ester et al. 1996) on the grid of cells, exact and in bounded memory.

On a grid the neighbors of every cell are the same disk of offsets. So they are counted by running sums, and clusters
are connected areas of core cells under that disk: found tile by tile, and joined over the borders of tiles.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from inference.heatmaps.cells import CellMap
from inference.heatmaps.lesions import Lesion, disk
from inference.heatmaps.tile_store import SIDE, TileStore
from preprocessing.errors import SlideError
from preprocessing.inference_settings import Clusters

MOST: Final = 1 << 22
"""Groups of core windows that are kept track of, about 100 bytes each; a float32 counts them exactly."""

_NONE: Final = -1
_EDGES: Final = ndimage.generate_binary_structure(2, 1)
_ALONE: Final = ndimage.generate_binary_structure(2, 0)


class TooManyClustersError(SlideError):
    """So many groups of windows are no finding."""


def find_clusters(cells: CellMap, threshold: float, radius: int, settings: Clusters) -> list[Lesion]:
    """Cluster the cells from a threshold on.

    Args:
        cells: of one slide.
        threshold: least probability of a cell that counts.
        radius: farthest that two neighbors are apart, center to center, level-0 pixels.
        settings: what makes a core, and which clusters are lesions.

    Returns:
        A lesion for each cluster, at the center of its cells weighted by probability, with their mean probability;
        highest first, of equals the first in raster order. A cell that is no core belongs to the first such cluster
        that has a core within the radius, and to none where there is no core. Memory: a tile store, some tiles with a
        rim of the radius, and about 100 bytes a cluster.

    Raises:
        TooManyClustersError: more than `MOST` in pieces.
    """
    around = disk(radius / cells.grid.step)
    limit = np.float32(threshold)
    with TileStore(cells.grid.rows, cells.grid.columns) as numbers:
        first = _number_cores(cells, limit, around, settings.windows, numbers)
        if not len(first):
            return []
        ranks, clusters = _joined(first, _pairs_between(numbers, around))
        totals = _totals(cells, limit, around, numbers, ranks, clusters)
    return _lesions(cells, totals, settings.probability)


def _number_cores(
    cells: CellMap, limit: np.float32, around: NDArray[np.bool_], windows: int, numbers: TileStore
) -> NDArray[np.int64]:
    """Put the number of its group on every core cell; (groups,) the first cell of each, counted in raster order."""
    reach, count = len(around) // 2, 0
    first = [np.zeros(0, np.int64)]
    for row, column, values in _with_rim(cells.store, cells.store, reach):
        above = values >= limit
        core = _inner(above, reach) & (_counts(above, around) >= windows)
        groups, found = _groups(core, around)
        if found == 0:
            continue
        if count + found > MOST:
            raise TooManyClustersError(
                f"more than {MOST:,} groups of windows from probability {limit:g} on are no finding: raise "
                "inference.threshold or inference.lesion_radius"
            )
        numbers.put((row // SIDE, column // SIDE), np.where(core, groups + count, np.nan).astype(np.float32))
        places = np.flatnonzero(core)
        firsts = np.full(found, np.iinfo(np.int64).max)
        down, across = np.divmod(places, SIDE)
        np.minimum.at(firsts, groups.ravel()[places], (row + down) * np.int64(cells.grid.columns) + column + across)
        first.append(firsts)
        count += found
    return np.concatenate(first)


def _with_rim(store: TileStore, of: TileStore, reach: int) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """First row and column of each tile of one store, and what another holds there and `reach` cells around."""
    for down, across in of.places():
        side = SIDE + 2 * reach
        yield down * SIDE, across * SIDE, store.region(down * SIDE - reach, across * SIDE - reach, side, side)


def _inner(values: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    return values[reach : len(values) - reach, reach : len(values) - reach]


def _counts(above: NDArray[np.bool_], around: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many cells of the disk around each inner cell are above, itself counted; a running sum for each row of it."""
    reach = len(around) // 2
    side = len(above) - 2 * reach
    sums = np.pad(np.cumsum(above, axis=1, dtype=np.int64), ((0, 0), (1, 0)))
    total = np.zeros((side, side), np.int64)
    for row, half in enumerate((around.sum(axis=1) // 2).tolist()):
        rows, left = sums[row : row + side], reach - half
        total += rows[:, left + 2 * half + 1 :][:, :side] - rows[:, left : left + side]
    return total


def _groups(core: NDArray[np.bool_], around: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Number the groups of a tile's cores from 0: (SIDE, SIDE), -1 outside of any, and how many there are."""
    reach = len(around) // 2
    pieces, count = ndimage.label(core, _EDGES if reach else _ALONE)
    numbers = pieces.astype(np.int64) - 1
    pairs = _pairs(np.pad(numbers, reach, constant_values=_NONE), around)
    found, group_of = _components(count, pairs)
    return np.append(group_of, _NONE)[numbers], found


def _pairs(numbers: NDArray[np.int64], around: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(k, 2) different numbers of which cells lie in each other's disk, the one of them inside the rim."""
    reach = len(around) // 2
    side = len(numbers) - 2 * reach
    own, found = numbers[reach : reach + side, reach : reach + side], [np.zeros((0, 2), np.int64)]
    for row, column in np.argwhere(around).tolist():
        if (row, column) <= (reach, reach):
            continue  # the other way round it is met, too
        other = numbers[row : row + side, column : column + side]
        differ = (own != other) & (own != _NONE) & (other != _NONE)
        if differ.any():
            found.append(np.unique(np.stack([own[differ], other[differ]], axis=1), axis=0))
    return np.unique(np.concatenate(found), axis=0)


def _components(count: int, pairs: NDArray[np.int64]) -> tuple[int, NDArray[np.int64]]:
    """How many sets of numbers below `count` hang together, and (count,) the set of each."""
    joins = sparse.coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    found, sets = sparse.csgraph.connected_components(joins, directed=False)
    return int(found), sets.astype(np.int64)


def _pairs_between(numbers: TileStore, around: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The groups of different tiles that meet, (k, 2)."""
    found = [np.zeros((0, 2), np.int64)]
    for _, _, values in _with_rim(numbers, numbers, len(around) // 2):
        found.append(_pairs(np.nan_to_num(values, nan=_NONE).astype(np.int64), around))
    return np.concatenate(found)


def _joined(first: NDArray[np.int64], pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """(groups,) the rank of each one's cluster by its first cell in raster order, and how many clusters there are."""
    count, cluster_of = _components(len(first), pairs)
    firsts = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(firsts, cluster_of, first)
    ranks = np.empty(count, np.int64)
    ranks[np.argsort(firsts)] = np.arange(count)
    return ranks[cluster_of], count


def _totals(
    cells: CellMap,
    limit: np.float32,
    around: NDArray[np.bool_],
    numbers: TileStore,
    ranks: NDArray[np.int64],
    clusters: int,
) -> NDArray[np.float64]:
    """(4, clusters) of each cluster: cells, probability, and row and column times probability."""
    totals = np.zeros((4, clusters))
    reach, far = len(around) // 2, len(ranks)
    rank_of = np.append(ranks, far).astype(np.float64)  # beyond all others where there is no core
    for row, column, found in _with_rim(numbers, cells.store, reach):
        near = rank_of[np.nan_to_num(found, nan=far).astype(np.int64)]
        if near.min() == far:
            continue
        tile = cells.store.region(row, column, SIDE, SIDE)
        nearest = ndimage.minimum_filter(near, footprint=around)[reach : reach + SIDE, reach : reach + SIDE]
        there = (tile >= limit) & (nearest < far)
        met, mine = np.unique(nearest[there].astype(np.int64), return_inverse=True)
        down, across = np.nonzero(there)
        probability = tile[there].astype(np.float64)
        of_cells = (np.ones_like(probability), probability, (row + down) * probability, (column + across) * probability)
        for total, values in zip(totals, of_cells, strict=True):
            total[met] += np.bincount(mine, values, len(met))
    return totals


def _lesions(cells: CellMap, totals: NDArray[np.float64], least: float) -> list[Lesion]:
    count, total, rows, columns = totals[:, totals[1] > 0]  # of probability 0 there is no center
    mean = total / count
    x = np.rint(cells.grid.first[0] + columns / total * cells.grid.step).astype(np.int64)
    y = np.rint(cells.grid.first[1] + rows / total * cells.grid.step).astype(np.int64)
    order = np.argsort(-mean, kind="stable")
    chosen = order[mean[order].astype(np.float32) >= np.float32(least)]  # as exact as the probabilities
    return [Lesion(*it) for it in zip(x[chosen].tolist(), y[chosen].tolist(), mean[chosen].tolist(), strict=True)]
