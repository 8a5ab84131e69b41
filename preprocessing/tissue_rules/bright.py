"""The bright rule, for images with a black background: a pixel is tissue when it is bright enough."""

import math

import numpy as np
from numpy.typing import NDArray

from preprocessing.tissue_rules.gray import gray_levels


def bright_tissue(rgb: NDArray[np.uint8], min_gray: float) -> NDArray[np.bool_]:
    """Judge every pixel by its gray level.

    Args:
        rgb: (h, w, 3) uint8.
        min_gray: share of white, 0 to 1, above which a pixel is tissue.

    Returns:
        (h, w) bool. Memory: 6 bytes a pixel.
    """
    return gray_levels(rgb) > np.uint8(math.floor(min_gray * 255))  # whole numbers, so the limit may be one
