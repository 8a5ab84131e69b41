"""Connected pieces of a mask: which are large, which hold a seed, which holes are small."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_DIAGONALS_TOO: Final = np.ones((3, 3), bool)


def large_pieces(mask: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """The pieces (8-connected) of at least so many pixels.

    Args:
        mask: (h, w) bool.
        least: pixels.

    Returns:
        (h, w) bool. Memory: 5 bytes a pixel.
    """
    if not mask.any():
        return np.zeros_like(mask)
    labels, count = ndimage.label(mask, _DIAGONALS_TOO)
    kept = np.bincount(labels[mask], minlength=count + 1) >= least
    kept[0] = False
    return kept[labels]


def pieces_around(mask: NDArray[np.bool_], seeds: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """The pieces (8-connected) that hold a seed of at least so many pixels, joined, too.

    Args:
        mask: (h, w) bool.
        seeds: (h, w) bool, within `mask`.
        least: pixels.

    Returns:
        (h, w) bool. Memory: 6 bytes a pixel.
    """
    sure = large_pieces(seeds, least)
    if not sure.any():
        return sure
    labels, count = ndimage.label(mask, _DIAGONALS_TOO)
    kept = np.zeros(count + 1, bool)
    kept[labels[sure]] = True
    return kept[labels]


def without_small_holes(mask: NDArray[np.bool_], below: int) -> NDArray[np.bool_]:
    """Fill the holes (4-connected, not touching the border) of fewer pixels.

    Args:
        mask: (h, w) bool.
        below: pixels.

    Returns:
        (h, w) bool. Memory: 6 bytes a pixel.
    """
    labels, count = ndimage.label(~mask)
    small = np.bincount(labels.ravel(), minlength=count + 1) < below
    for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        small[border] = False
    return mask | small[labels]
