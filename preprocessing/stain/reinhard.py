"""Reinhard et al. 2001, Color transfer between images, IEEE CG&A 21(5).

Mean and standard deviation of each channel of lab are brought to those of a reference. This lab is the paper's
l-alpha-beta, not CIELAB: logarithms (base 10) of cone responses, turned apart.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from preprocessing.stain.errors import StainError
from preprocessing.stain.lookup import CHUNK, Transform, step, values

LMS: Final = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
"""Cone responses of red, green, blue."""
LAB: Final = np.diag([3**-0.5, 6**-0.5, 2**-0.5]) @ np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]])
"""l, alpha, beta of the logarithms of cone responses."""

REFERENCE: Final = (-0.520288, -0.045885, 0.020173, 0.246394, 0.035082, 0.010881)
"""Means and standard deviations of l, alpha, beta: of OpenSlide's test slide CMU-1-Small-Region (CC0), level 0 averaged
over squares of 16 pixels (8 micrometers, as thumbnails are), where the darkest channel is below `TISSUE_BELOW`."""

MIN_PIXELS: Final = 200
MIN_DEVIATION: Final = 1e-3
"""Standard deviation of a channel below which there is nothing to stretch."""
TISSUE_BELOW: Final = 210
GLASS_FROM: Final = 240
"""A pixel whose darkest channel lies between these fades from the transformed color to its own: glass stays white."""

_RESPONSE: Final = 16384  # integers per unit of cone response
_LOGARITHM: Final = 8192
_LIGHT: Final = 16384
_RANGE: Final = (-3.5, 0.5)  # logarithms of cone responses that matter: darker is black, brighter is white


def estimate(pixels: NDArray[np.uint8]) -> tuple[float, ...]:
    """Measure the colors of a slide.

    Args:
        pixels: (n, 3) uint8, RGB of tissue.

    Returns:
        6 numbers: means of l, α, β, then their standard deviations. Memory: about 100 bytes a pixel.

    Raises:
        StainError: too few pixels, or pixels of one color.
    """
    if len(pixels) < MIN_PIXELS:
        raise StainError(
            f"{len(pixels)} pixels of tissue in the thumbnail, Reinhard needs {MIN_PIXELS}; choose "
            "tiling.stain.method none, or leave the slide out"
        )
    lab = to_lab(pixels)
    mean, deviation = lab.mean(axis=0), lab.std(axis=0)
    if deviation.min() < MIN_DEVIATION:
        raise StainError(
            "the tissue of the thumbnail has hardly any difference in color, Reinhard stretches differences; is it "
            "stained tissue? Choose tiling.stain.method none, or leave the slide out"
        )
    return tuple(round(float(value), 6) for value in (*mean, *deviation))


def to_lab(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """l, α, β of colors, (n, 3); black counts as 1 of 255."""
    return np.log10((np.maximum(pixels, 1) / 255) @ LMS.T) @ LAB.T


@dataclass(frozen=True, eq=False)
class KeepsGlass:
    """A transform that leaves glass as it is.

    Attributes:
        transform: of tissue.
    """

    transform: Transform

    def apply(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `Transform`. Memory: 3 bytes a pixel, and 3 MB."""
        result = self.transform.apply(rgb)
        own, changed = rgb.reshape(-1, 3), result.reshape(-1, 3)
        for start in range(0, len(own), CHUNK):
            part = slice(start, start + CHUNK)
            _keep_glass(own[part], changed[part])
        return result


def _keep_glass(own: NDArray[np.uint8], changed: NDArray[np.uint8]) -> None:
    """Fade pale pixels of `changed` (n, 3) to what they were, in place, in whole numbers."""
    darkest = np.minimum(np.minimum(own[:, 0], own[:, 1]), own[:, 2])
    pale = np.flatnonzero(darkest > TISSUE_BELOW)
    if not len(pale):
        return
    fade = GLASS_FROM - TISSUE_BELOW
    share = np.minimum(darkest[pale].astype(np.int32) - TISSUE_BELOW, fade)[:, None]
    mixed = changed[pale].astype(np.int32) * (fade - share) + own[pale].astype(np.int32) * share
    changed[pale] = ((mixed + fade // 2) // fade).astype(np.uint8)


def transform(numbers: tuple[float, ...]) -> KeepsGlass:
    """The color transform of a slide.

    In the logarithms of cone responses, stretching lαβ about its mean is one 3x3 matrix and a shift.

    Args:
        numbers: from `estimate`.
    """
    mean, deviation = np.array(numbers[:3]), np.array(numbers[3:])
    wanted_mean, wanted_deviation = np.array(REFERENCE[:3]), np.array(REFERENCE[3:])
    ratio = wanted_deviation / deviation
    back = np.linalg.inv(LAB)
    matrix = back @ np.diag(ratio) @ LAB
    shift = back @ (wanted_mean - ratio * mean)
    of_color = np.maximum(np.arange(256), 1) / 255
    respond = step([np.outer(of_color, column) for column in LMS.T], _RESPONSE)
    parts = []
    for channel in range(3):
        response = values(respond.low[channel], respond.high[channel], _RESPONSE)
        parts.append(np.outer(np.log10(response), matrix[:, channel]) + shift / 3)
    stretch = step(parts, _LOGARITHM)
    rgb_of_lms = np.linalg.inv(LMS)
    light = [
        np.outer(10 ** np.clip(values(low, high, _LOGARITHM), *_RANGE), column)
        for low, high, column in zip(stretch.low, stretch.high, rgb_of_lms.T, strict=True)
    ]
    shine = step(light, _LIGHT)
    colors = tuple(
        np.clip(np.rint(255 * values(low, high, _LIGHT)), 0, 255).astype(np.uint8)
        for low, high in zip(shine.low, shine.high, strict=True)
    )
    return KeepsGlass(Transform((respond, stretch, shine), colors))
