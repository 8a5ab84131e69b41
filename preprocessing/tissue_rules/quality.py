"""What of a thumbnail can be used: no blur, no ink, no glass edge, no marks of the scanner."""

import numpy as np
from numpy.typing import NDArray

from preprocessing.tissue_rules.blur import blurred
from preprocessing.tissue_rules.color import SATURATION_FLOOR, saturation, value_and_chroma
from preprocessing.tissue_rules.glass_edge import beyond_glass_edge
from preprocessing.tissue_rules.marks import colorless, marks
from preprocessing.tissue_rules.pen import pen_ink
from preprocessing.tissue_rules.strips import strips


def usable(thumbnail: NDArray[np.uint8], mpp: float | None) -> NDArray[np.bool_]:
    """Find the pixels to which no quality rule objects; bare glass is usable, too, since it is no artifact.

    Args:
        thumbnail: (h, w, 3) uint8, white outside of the scan.
        mpp: micrometers per pixel of the thumbnail; where unknown, 8 is assumed.

    Returns:
        (h, w) bool. Memory: 4 bytes a pixel, 0.3 GB for 8192 x 8192.
    """
    bad = pen_ink(thumbnail, mpp)
    bad |= blurred(thumbnail, mpp)
    unstained = colorless(thumbnail, mpp)
    bad |= marks(unstained, mpp)
    bad |= beyond_glass_edge(unstained, _stained(thumbnail, bad), mpp)
    return np.logical_not(bad, out=bad)


def _stained(thumbnail: NDArray[np.uint8], bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels with the color of a stain, less the bad ones."""
    stained = np.empty_like(bad)
    for rows, _ in strips(bad.shape):
        colorful = saturation(*value_and_chroma(thumbnail[rows])) > 255 * SATURATION_FLOOR
        stained[rows] = colorful & ~bad[rows]
    return stained
