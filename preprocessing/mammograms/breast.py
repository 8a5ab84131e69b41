"""Finding the breast on a mammogram, so that labels, tape and scratches of the film are left out."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

DARKEST: Final = 0.05  # of the brightest value: below it is film without breast, as in Shen et al.'s program
_SMOOTHED: Final = 15  # pixels: bridges to labels and scratches are thinner


def breast_mask(image: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """The largest bright piece without thin bridges, its holes filled.

    Args:
        image: (height, width), as large as mammograms are scanned (some thousand pixels).

    Returns:
        (height, width) bool; nothing where the image is black. Memory: about 12 bytes a pixel.
    """
    bright = image > DARKEST * float(image.max())
    # What touches the rim does not end there: the breast is cut off by it, and would be worn off from that side.
    pieces, count = ndimage.label(_opened(bright))
    if count == 0:
        return np.zeros(image.shape, bool)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(ndimage.binary_fill_holes(pieces == sizes.argmax()))


def _opened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Opening by a square, which minimum and maximum filters do in time that its side does not matter to."""
    worn = ndimage.minimum_filter(mask, _SMOOTHED, mode="nearest")
    return np.asarray(ndimage.maximum_filter(worn, _SMOOTHED, mode="nearest"))
