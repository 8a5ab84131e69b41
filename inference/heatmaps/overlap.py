"""From windows to cells: the center rule, and the mean or maximum of the windows that lie over a cell.

Windows are kept with a sign: their probability, negative where no tissue lies in their own cell (`-0.0` included).
Such a window counts for its neighbors, yet its own cell stays without a value: probability is clipped to tissue.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference.heatmaps.tile_store import SIDE, TileStore

Overlap = Literal["center", "mean", "maximum"]


def signed(probability: NDArray[np.float32], tissue_fraction: NDArray[np.float32]) -> NDArray[np.float32]:
    """Windows as they are kept: (n,) float32, negative where the cell holds no tissue."""
    return np.where(tissue_fraction > 0, probability, -probability)


def shares(window: int, stride: int) -> NDArray[np.float64]:
    """What the windows around a cell share with it, along one axis.

    Args:
        window: side of a window, pixels.
        stride: side of a cell, pixels; a window's center is that of its own cell.

    Returns:
        (2 k + 1,) pixels, of the window k steps before the cell to the one k steps behind; all above 0.
    """
    reach = -(-(window + stride) // (2 * stride)) - 1
    steps = 2 * stride * np.arange(-reach, reach + 1)
    return (np.minimum(window, steps + stride) - np.maximum(-window, steps - stride)) / 2


def judge_cells(windows: TileStore, cells: TileStore, overlap: Overlap, window: int, stride: int) -> None:
    """Give the cells their probabilities.

    Memory: the two stores, and a tile with its halo in float64.

    Args:
        windows: signed, one per cell, NaN where no window was judged.
        cells: empty and of the same size; a cell stays NaN where its own window was not judged, or it has no tissue.
        overlap: `center`, a cell has its own window's probability; `mean`, that of all windows that share area with it,
            weighted by the shared area; `maximum`, the highest of these.
        window, stride: side of a window and step of the grid, pixels of one scale.
    """
    weights = shares(window, stride)
    reach = len(weights) // 2 if overlap != "center" else 0
    for row, column in windows.places():
        side = SIDE + 2 * reach
        around = windows.region(row * SIDE - reach, column * SIDE - reach, side, side)
        own = around[reach : reach + SIDE, reach : reach + SIDE]
        values = _values(around, overlap, weights)
        inner = values[reach : reach + SIDE, reach : reach + SIDE].astype(np.float32)
        inner[np.isnan(own) | np.signbit(own)] = np.nan
        if not np.isnan(inner).all():
            cells.put((row, column), inner)


def _values(
    windows: NDArray[np.float32], overlap: Overlap, weights: NDArray[np.float64]
) -> NDArray[np.float32] | NDArray[np.float64]:
    if overlap == "mean":
        return _mean(windows, weights)
    if overlap == "maximum":
        return ndimage.maximum_filter(np.fmax(np.abs(windows), -1), size=len(weights))
    return windows


def _mean(windows: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    judged = ~np.isnan(windows)
    probability = np.where(judged, np.abs(windows), 0).astype(np.float64)
    total, weight = probability, judged.astype(np.float64)
    for axis in (0, 1):  # shared areas are products of shared lengths
        total, weight = (ndimage.correlate1d(values, weights, axis=axis, mode="constant") for values in (total, weight))
    return total / np.where(weight > 0, weight, 1)
