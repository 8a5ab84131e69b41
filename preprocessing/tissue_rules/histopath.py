"""The tissue tests of deep-histopath (CODAIT/deep-histopath, preprocessing.py): is a window wholly inside tissue?"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import rgb2gray
from skimage.feature import canny

from preprocessing.tissue_rules.disks import close, dilate

_EDGE_RADIUS: Final = 10
_DENSITY_RADIUS: Final = 2
_LEAST_DENSITY: Final = 0.15
# the brightest 8-bit value whose optical density, -ln((value + 1) / 240), is still high enough
_BRIGHTEST: Final = np.uint8(np.flatnonzero(-np.log((np.arange(256) + 1) / 240) >= _LEAST_DENSITY).max())


def histopath_fraction(rgb: NDArray[np.uint8]) -> float:
    """Share of a window that is tissue by both tests, the lower of the two.

    The published test keeps a window where both shares reach 0.9, which is this share reaching 0.9.

    Args:
        rgb: (h, w, 3) uint8, one window.

    Returns:
        0 to 1. Memory: about 60 bytes a pixel.
    """
    return min(_edge_share(rgb), _density_share(rgb))


def _edge_share(rgb: NDArray[np.uint8]) -> float:
    """Tissue has edges everywhere: Canny on the inverted gray image, its edges grown together."""
    edges = canny(1 - rgb2gray(rgb))  # type: ignore[no-untyped-call]
    return _grown_together(edges, _EDGE_RADIUS)


def _density_share(rgb: NDArray[np.uint8]) -> float:
    """Tissue absorbs in every channel: least optical density of the three."""
    return _grown_together(rgb.max(axis=2) <= _BRIGHTEST, _DENSITY_RADIUS)


def _grown_together(mask: NDArray[np.bool_], radius: int) -> float:
    if not mask.any():
        return 0.0
    filled = ndimage.binary_fill_holes(dilate(close(mask, radius), radius))
    return float(filled.mean())
