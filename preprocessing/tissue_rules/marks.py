"""What is dark without color: black ink, registration crosses, edges of glass, rims of bubbles, scratches, dust."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from preprocessing.tissue_rules.color import value_and_chroma
from preprocessing.tissue_rules.disks import dilate
from preprocessing.tissue_rules.pieces import large_pieces, pieces_around
from preprocessing.tissue_rules.sizes import area_pixels, pixels
from preprocessing.tissue_rules.strips import strips

_GRAY_CHROMA: Final = 15
_BLACK: Final = (100, 25)  # value and chroma, at most
_BLACK_PERHAPS: Final = (80, 40)
_OF_GLASS: Final = 0.85
_LEAST_PIECE_UM: Final = 46
_RIM_UM: Final = 12
_IS_GRAY, _IS_BLACK, _IS_PERHAPS = (np.uint8(1 << bit) for bit in range(3))


def colorless(thumbnail: NDArray[np.uint8], mpp: float | None) -> NDArray[np.bool_]:
    """Pixels that are dark and yet unstained.

    A stained pixel that is dark has color: at 0.85 of the brightness of glass, a chroma of 15 is a saturation of 0.07,
    the least of tissue. Black has some more by noise, and over tissue, where it is joined to sure black.

    Args:
        thumbnail: (h, w, 3) uint8.
        mpp: micrometers per pixel; None takes 8.

    Returns:
        (h, w) bool. Memory: 2 bytes a pixel.
    """
    darkest_glass = np.uint8(_OF_GLASS * _glass_value(thumbnail))
    kinds = np.empty(thumbnail.shape[:2], np.uint8)
    for rows, _ in strips(kinds.shape):
        value, chroma = value_and_chroma(thumbnail[rows])
        found = ((chroma <= _GRAY_CHROMA) & (value <= darkest_glass)) * _IS_GRAY
        for (most, tint), kind in ((_BLACK, _IS_BLACK), (_BLACK_PERHAPS, _IS_PERHAPS)):
            found |= ((value <= most) & (chroma <= tint)) * kind
        kinds[rows] = found
    colorless_pixels = pieces_around(
        kinds.shape,
        lambda rows: (kinds[rows] & (_IS_BLACK | _IS_PERHAPS)) != 0,
        lambda rows: (kinds[rows] & _IS_BLACK) != 0,
        area_pixels(_LEAST_PIECE_UM, mpp),
    )
    for rows, _ in strips(kinds.shape):
        colorless_pixels[rows] |= (kinds[rows] & (_IS_GRAY | _IS_BLACK)) != 0
    return colorless_pixels


def marks(colorless_pixels: NDArray[np.bool_], mpp: float | None) -> NDArray[np.bool_]:
    """Colorless pixels in pieces of at least a square of 46 µm, and a rim of 12 µm.

    Smaller ones are membranes of fat cells, pigment and dust, too small to matter.

    Args:
        colorless_pixels: (h, w) bool, of `colorless`.
        mpp: micrometers per pixel; None takes 8.

    Returns:
        (h, w) bool. Memory: 2 bytes a pixel.
    """
    found = large_pieces(colorless_pixels, area_pixels(_LEAST_PIECE_UM, mpp))
    return dilate(found, pixels(_RIM_UM, mpp)) if found.any() else found


def _glass_value(thumbnail: NDArray[np.uint8]) -> float:
    """Brightness of glass: the median of bright gray pixels; white where these are under 1 % of the thumbnail."""
    counts = np.zeros(256, np.int64)
    for rows, _ in strips(thumbnail.shape):
        value, chroma = value_and_chroma(thumbnail[rows])
        counts += np.bincount(value[chroma <= _GRAY_CHROMA], minlength=256)
    counts[:128] = 0
    if counts.sum() < 0.01 * thumbnail.shape[0] * thumbnail.shape[1]:
        return 255.0
    return float(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
