"""Colored ink of felt pens: blue, green and red."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from preprocessing.tissue_rules.disks import dilate
from preprocessing.tissue_rules.pieces import pieces_around
from preprocessing.tissue_rules.sizes import area_pixels, pixels

_COLORED: Final = 25
_USUAL_SHARE: Final = 0.5
_COOL_SURE: Final = (55, 8, 50)  # above the slide's usual color, at least, at most
_COOL_PERHAPS: Final = (36, -12, 20)
_RED_SURE: Final = 130
_RED_PERHAPS: Final = 80
_LEAST_COOL_UM: Final = 40
_LEAST_RED_UM: Final = 80
_RIM_UM: Final = 12


def pen_ink(thumbnail: NDArray[np.uint8], mpp: float | None) -> NDArray[np.bool_]:
    """Find strokes of blue, green and red pens, on glass and on tissue.

    Tests of color for pens are known from Schreiber's filters (used with deep-histopath) and histolab. Those here
    follow from absorbance. Hematoxylin and eosin both absorb green light most, so that H&E is darker in green than in
    red whatever the mix, nuclei included; blue and green ink absorb red most. How far green lies above red is
    compared with what is usual on the slide. Red ink passes far more red than blood does, and no more blue than green.
    Sure pixels seed a stroke; weaker ones joined to them (thin ink, ink over tissue) belong to it, and a rim of 12 µm.

    It passes over violet ink, which has the color of the stain, over orange and yellow, over pale red, and over
    strokes of thin blue or of red that lie on tissue from end to end.

    Args:
        thumbnail: (h, w, 3) uint8.
        mpp: micrometers per pixel of the thumbnail; None takes 8.

    Returns:
        (h, w) bool, set on ink. Memory: 13 bytes a pixel.
    """
    red, green, blue = (np.ascontiguousarray(thumbnail[..., channel]) for channel in range(3))
    warm = np.maximum(green, blue)
    warm = np.maximum(red, warm) - warm  # bytes, since wider types cost twice the time
    ink = pieces_around(warm >= _RED_PERHAPS, warm >= _RED_SURE, area_pixels(_LEAST_RED_UM, mpp))
    ink |= _cool_ink(red, green, blue, area_pixels(_LEAST_COOL_UM, mpp))
    return dilate(ink, pixels(_RIM_UM, mpp)) if ink.any() else ink


def _cool_ink(
    red: NDArray[np.uint8], green: NDArray[np.uint8], blue: NDArray[np.uint8], least: int
) -> NDArray[np.bool_]:
    brightest = np.maximum(np.maximum(red, green), blue)
    colored = brightest - np.minimum(np.minimum(red, green), blue) >= _COLORED
    excess = green.astype(np.int16) - red
    counts = np.bincount(excess[colored] + 255, minlength=511)
    if counts.sum() == 0:
        return colored
    usual = int(np.searchsorted(np.cumsum(counts), _USUAL_SHARE * counts.sum())) - 255
    sure, perhaps = (int(np.clip(usual + above, low, high)) for above, low, high in (_COOL_SURE, _COOL_PERHAPS))
    return pieces_around(colored & (excess >= perhaps), colored & (excess >= sure), least)
