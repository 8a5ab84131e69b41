"""What is dark without color: black ink, registration crosses, edges of glass, rims of bubbles, scratches, dust."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from preprocessing.tissue_rules.color import value_and_chroma
from preprocessing.tissue_rules.disks import dilate
from preprocessing.tissue_rules.pieces import large_pieces, pieces_around
from preprocessing.tissue_rules.sizes import area_pixels, pixels

_GRAY_CHROMA: Final = 15
_BLACK: Final = (100, 25)  # value and chroma, at most
_BLACK_PERHAPS: Final = (80, 40)
_OF_GLASS: Final = 0.85
_LEAST_PIECE_UM: Final = 46
_RIM_UM: Final = 12


def colorless(thumbnail: NDArray[np.uint8], mpp: float | None) -> NDArray[np.bool_]:
    """Pixels that are dark and yet unstained.

    A stained pixel that is dark has color: at 0.85 of the brightness of glass, a chroma of 15 is a saturation of 0.07,
    the least of tissue. Black has some more by noise, and over tissue, where it is joined to sure black.

    Args:
        thumbnail: (h, w, 3) uint8.
        mpp: micrometers per pixel; None takes 8.

    Returns:
        (h, w) bool. Memory: 14 bytes a pixel.
    """
    value, chroma = value_and_chroma(thumbnail)
    gray = chroma <= _GRAY_CHROMA
    dark = value <= np.uint8(_OF_GLASS * _glass_value(value, gray))
    black, perhaps = ((value <= most) & (chroma <= tint) for most, tint in (_BLACK, _BLACK_PERHAPS))
    return (gray & dark) | black | pieces_around(black | perhaps, black, area_pixels(_LEAST_PIECE_UM, mpp))


def marks(colorless_pixels: NDArray[np.bool_], mpp: float | None) -> NDArray[np.bool_]:
    """Colorless pixels in pieces of at least a square of 46 µm, and a rim of 12 µm.

    Smaller ones are membranes of fat cells, pigment and dust, too small to matter.

    Args:
        colorless_pixels: (h, w) bool, of `colorless`.
        mpp: micrometers per pixel; None takes 8.

    Returns:
        (h, w) bool. Memory: 8 bytes a pixel.
    """
    found = large_pieces(colorless_pixels, area_pixels(_LEAST_PIECE_UM, mpp))
    return dilate(found, pixels(_RIM_UM, mpp)) if found.any() else found


def _glass_value(value: NDArray[np.uint8], gray: NDArray[np.bool_]) -> float:
    """Brightness of glass: the median of bright gray pixels; white where these are under 1 % of the thumbnail."""
    counts = np.bincount(value[gray], minlength=256)
    counts[:128] = 0
    if counts.sum() < 0.01 * value.size:
        return 255.0
    return float(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
