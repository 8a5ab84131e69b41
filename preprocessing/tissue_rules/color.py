"""Brightness and color of pixels, as the rules on thumbnails see them."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from preprocessing.tissue_rules.strips import strips

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
    """HSV saturation in steps of 1/255, (h, w) uint8; 0 for black. Memory: 3 bytes a pixel."""
    places = value.astype(np.uint16)
    places <<= 8
    places |= chroma
    return _SATURATIONS[places]


def saturation_plane(shape: tuple[int, ...], rgb_strips: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """HSV saturation of an image that comes in pieces.

    Args:
        shape: height and width of the image.
        rgb_strips: its rows from top to bottom, (any, w, 3) uint8 each.

    Returns:
        (h, w) uint8, steps of 1/255. Memory: 1 byte a pixel, strips, and what makes the pieces.
    """
    plane = np.empty(shape, np.uint8)
    top = 0
    for rgb in rgb_strips:
        for rows, _ in strips(rgb.shape):
            plane[top + rows.start : top + rows.stop] = saturation(*value_and_chroma(rgb[rows]))
        top += len(rgb)
    return plane


def _all_saturations() -> NDArray[np.uint8]:
    """Of value * 256 + chroma, (65536,) uint8; rounded down."""
    value, chroma = np.divmod(np.arange(1 << 16), 256)
    ratio = chroma.astype(np.float32) * np.float32(255) / np.maximum(value, 1).astype(np.float32)
    return np.where(chroma <= value, ratio, 0).astype(np.uint8)


_SATURATIONS: Final = _all_saturations()
