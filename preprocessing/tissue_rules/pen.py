"""Colored ink of felt pens: blue, green and red."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from preprocessing.tissue_rules.disks import dilate
from preprocessing.tissue_rules.pieces import pieces_around
from preprocessing.tissue_rules.sizes import area_pixels, pixels
from preprocessing.tissue_rules.strips import strips

_COLORED: Final = 25
_USUAL_SHARE: Final = 0.5
_COOL_SURE: Final = (55, 8, 50)  # above the slide's usual color, at least, at most
_COOL_PERHAPS: Final = (36, -12, 20)
_RED_SURE: Final = 130
_RED_PERHAPS: Final = 80
_LEAST_COOL_UM: Final = 40
_LEAST_RED_UM: Final = 80
_RIM_UM: Final = 12
_IS_RED, _IS_SURELY_RED, _IS_COOL, _IS_SURELY_COOL = (np.uint8(1 << bit) for bit in range(4))


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
        (h, w) bool, set on ink. Memory: 3 bytes a pixel.
    """
    colors = _ink_colors(thumbnail)
    ink = _strokes(colors, _IS_RED, _IS_SURELY_RED, area_pixels(_LEAST_RED_UM, mpp))
    ink |= _strokes(colors, _IS_COOL, _IS_SURELY_COOL, area_pixels(_LEAST_COOL_UM, mpp))
    del colors
    return dilate(ink, pixels(_RIM_UM, mpp)) if ink.any() else ink


def _strokes(colors: NDArray[np.uint8], perhaps: np.uint8, sure: np.uint8, least: int) -> NDArray[np.bool_]:
    return pieces_around(
        colors.shape, lambda rows: (colors[rows] & perhaps) != 0, lambda rows: (colors[rows] & sure) != 0, least
    )


def _ink_colors(thumbnail: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What ink each pixel may be of, as bits, (h, w) uint8."""
    usual = _usual_excess(thumbnail)
    sure, perhaps = (
        np.int16(511 if usual is None else np.clip(usual + above, low, high))
        for above, low, high in (_COOL_SURE, _COOL_PERHAPS)
    )
    colors = np.zeros(thumbnail.shape[:2], np.uint8)
    for rows, _ in strips(colors.shape):
        red, green, blue = _channels(thumbnail[rows])
        warm = np.maximum(green, blue)
        warm = np.maximum(red, warm) - warm  # bytes, since wider types cost twice the time
        excess, colored = _excess(red, green, blue)
        found = (warm >= _RED_PERHAPS) * _IS_RED
        found |= (warm >= _RED_SURE) * _IS_SURELY_RED
        found |= (colored & (excess >= perhaps)) * _IS_COOL
        found |= (colored & (excess >= sure)) * _IS_SURELY_COOL
        colors[rows] = found
    return colors


def _usual_excess(thumbnail: NDArray[np.uint8]) -> int | None:
    """By how much green exceeds red where there is color: the median; None where nothing has any."""
    counts = np.zeros(511, np.int64)
    for rows, _ in strips(thumbnail.shape):
        excess, colored = _excess(*_channels(thumbnail[rows]))
        counts += np.bincount(excess[colored] + 255, minlength=511)
    if counts.sum() == 0:
        return None
    return int(np.searchsorted(np.cumsum(counts), _USUAL_SHARE * counts.sum())) - 255


def _channels(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    red, green, blue = (np.ascontiguousarray(rgb[..., channel]) for channel in range(3))
    return red, green, blue


def _excess(
    red: NDArray[np.uint8], green: NDArray[np.uint8], blue: NDArray[np.uint8]
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """By how much green exceeds red, and which pixels are colored enough for that to tell."""
    brightest = np.maximum(np.maximum(red, green), blue)
    colored = brightest - np.minimum(np.minimum(red, green), blue) >= _COLORED
    return green.astype(np.int16) - red, colored
