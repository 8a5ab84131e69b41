"""Connected pieces of a mask: which are large, which hold a seed, which holes are small."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from preprocessing.tissue_rules.runs import Rows, find_runs

_DIAGONALS_TOO: Final = 1
_SIDES_ONLY: Final = 0


def large_pieces(mask: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """The pieces (8-connected) of at least so many pixels.

    Args:
        mask: (h, w) bool.
        least: pixels.

    Returns:
        (h, w) bool. Memory: 1 byte a pixel, and the runs of the mask, see `find_runs`.
    """
    runs = find_runs(mask.shape, lambda rows: mask[rows], _DIAGONALS_TOO)
    return runs.painted(runs.sizes() >= least)


def pieces_around(shape: tuple[int, ...], mask: Rows, seeds: Rows, least: int) -> NDArray[np.bool_]:
    """The pieces (8-connected) that hold a seed of at least so many pixels, joined, too.

    Args:
        shape: height and width of both masks.
        mask: gives its rows.
        seeds: gives its rows, within those of `mask`.
        least: pixels.

    Returns:
        (h, w) bool. Memory: 1 byte a pixel, and the runs of both masks, see `find_runs`.
    """
    sown = find_runs(shape, seeds, _DIAGONALS_TOO)
    sure = (sown.sizes() >= least)[sown.pieces]
    if not sure.any():
        return np.zeros(shape, bool)
    runs = find_runs(shape, mask, _DIAGONALS_TOO)
    return runs.painted(runs.holding(sown.starts[sure]))


def without_small_holes(mask: NDArray[np.bool_], below: int) -> NDArray[np.bool_]:
    """Fill the holes (4-connected, not touching the border) of fewer pixels.

    Args:
        mask: (h, w) bool.
        below: pixels.

    Returns:
        (h, w) bool. Memory: 1 byte a pixel, and the runs between what is set, see `find_runs`.
    """
    gaps = find_runs(mask.shape, lambda rows: ~mask[rows], _SIDES_ONLY)
    filled = gaps.painted((gaps.sizes() < below) & ~gaps.at_border())
    filled |= mask
    return filled
