"""Brightness and color of pixels, as the rules on thumbnails see them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SATURATION_FLOOR: Final = 0.07
"""HSV saturation below which nothing is stained; PatchCamelyon's tissue rule (Veeling et al. 2018)."""


def value_and_chroma(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Largest of the three channels (V of HSV), and how far the smallest lies below it.

    Args:
        rgb: (h, w, 3) uint8.

    Returns:
        Two (h, w) uint8. HSV saturation is their ratio, chroma / value. Memory: 4 bytes a pixel.
    """
    red, green, blue = (np.ascontiguousarray(rgb[..., channel]) for channel in range(3))
    value = np.maximum(np.maximum(red, green), blue)
    return value, value - np.minimum(np.minimum(red, green), blue)


def saturation(value: NDArray[np.uint8], chroma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """HSV saturation in steps of 1/255, (h, w) uint8; 0 for black. Memory: 5 bytes a pixel."""
    return (chroma * np.float32(255) / np.maximum(value, 1)).astype(np.uint8)
