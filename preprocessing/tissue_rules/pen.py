"""Colored ink of felt pens: blue, green and red."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from preprocessing.tissue_rules.disks import dilate
from preprocessing.tissue_rules.pieces import pieces_around
from preprocessing.tissue_rules.sizes import area_pixels, pixels

_COOL_SURE: Final = 30
_COOL_PERHAPS: Final = 8
_RED_SURE: Final = 105
_RED_PERHAPS: Final = 80
_LEAST_COOL_UM: Final = 25
_LEAST_RED_UM: Final = 80
_RIM_UM: Final = 12


def pen_ink(thumbnail: NDArray[np.uint8], mpp: float | None) -> NDArray[np.bool_]:
    """Find strokes of blue, green and red pens, on glass and on tissue.

    The idea of color tests for pens is that of the `filters` of Schreiber et al. (deep-histopath) and of histolab; the
    tests here follow from absorbance. Hematoxylin and eosin both absorb green light most, so H&E is darker in green
    than in red, whatever the mix, nuclei included; blue and green ink absorb red most. Red ink lets blue light through
    no more than green, while eosin does, and it is deeper than blood at this resolution. Sure pixels
    seed a stroke, weaker ones joined to them (thin ink, ink over tissue) belong to it, and a rim of 12 µm.

    It passes over violet ink, which has the color of the stain, and orange and yellow. Stains that are blue on their
    own (Alcian blue, dense counterstain of immunohistochemistry) count as ink where green exceeds red by 30 of 255.

    Args:
        thumbnail: (h, w, 3) uint8.
        mpp: micrometers per pixel of the thumbnail; None takes 8.

    Returns:
        (h, w) bool, set on ink. Memory: 12 bytes a pixel.
    """
    red, green, blue = (np.ascontiguousarray(thumbnail[..., channel]) for channel in range(3))
    cool = _excess(green, red)
    ink = pieces_around(cool >= _COOL_PERHAPS, cool >= _COOL_SURE, area_pixels(_LEAST_COOL_UM, mpp))
    warm = _excess(red, np.maximum(green, blue))
    ink |= pieces_around(warm >= _RED_PERHAPS, warm >= _RED_SURE, area_pixels(_LEAST_RED_UM, mpp))
    return dilate(ink, pixels(_RIM_UM, mpp)) if ink.any() else ink


def _excess(plane: NDArray[np.uint8], over: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How far one plane lies above another, 0 where it does not; bytes, since wider types cost twice the time."""
    return np.maximum(plane, over) - over
