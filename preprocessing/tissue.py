"""What is tissue and what is glass, pixel by pixel."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from preprocessing.tiling_settings import Tissue


def is_tissue(rgb: NDArray[np.uint8], tissue: Tissue) -> NDArray[np.bool_]:
    """Judge every pixel by the gray rule of Liu et al. 2017 (arXiv 1703.02442).

    The gray level is the 8-bit luma of ITU-R BT.601, rounded, as JPEG and Pillow compute it.

    Args:
        rgb: (h, w, 3) uint8.
        tissue: `max_gray`, share of white up to which a pixel is tissue.

    Returns:
        (h, w) bool.
    """
    gray = np.asarray(Image.fromarray(rgb).convert("L"))
    return gray <= tissue.max_gray * 255


def window_sums(pixels: NDArray[np.bool_], origins: NDArray[np.int32], side: int) -> NDArray[np.int32]:
    """How many pixels are set in each of many squares, by one summed-area table (Crow 1984).

    Args:
        pixels: (h, w) bool.
        origins: (n, 2) top-left corners x, y in `pixels`; every square lies inside.
        side: of the squares, pixels.

    Returns:
        (n,) int32, enough for 46,000 x 46,000 pixels. Memory: 4 bytes a pixel.
    """
    table = np.zeros((pixels.shape[0] + 1, pixels.shape[1] + 1), np.int32)
    np.cumsum(pixels, axis=1, dtype=np.int32, out=table[1:, 1:])
    np.cumsum(table[1:, 1:], axis=0, out=table[1:, 1:])
    x, y = origins[:, 0], origins[:, 1]
    inner: NDArray[np.int32] = table[y + side, x + side] - table[y, x + side] - table[y + side, x] + table[y, x]
    return inner
