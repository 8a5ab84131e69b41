"""Macenko et al. 2009, A method for normalizing histology slides for quantitative analysis, ISBI.

With the constants of deep-histopath: the two stains of a slide are found as the rims of its colors' fan in optical
density, and exchanged for those of a reference.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from preprocessing.stain.errors import StainError
from preprocessing.stain.lookup import Transform, step, values

LIGHT: Final = 255.0
BETA: Final = 0.15
"""Optical density (log10) that a pixel needs in every channel to count: clearer ones say little of the stain."""
ALPHA: Final = 1.0
"""Percent of pixels left out at either rim of the fan."""
REFERENCE_STAINS: Final = ((0.54598845, 0.72385198, 0.42182333), (0.322116, 0.76419107, 0.55879629))
"""Hematoxylin, eosin: optical density of red, green, blue, length 1."""
REFERENCE_SATURATION: Final = (0.82791151, 0.61137274)
"""99th percentile of the amount of each stain."""

MIN_PIXELS: Final = 200
MIN_ANGLE: Final = 4.0
"""Degrees between the two stains below which they cannot be told apart; those of the reference are 15 apart."""
MIN_SATURATION: Final = 0.05
"""Amount of a stain (99th percentile) below which it is noise, which scaling would blow up."""

_RESOLUTION: Final = 8192  # integers per unit of optical density


def estimate(pixels: NDArray[np.uint8]) -> tuple[float, ...]:
    """Find the stains of a slide.

    Args:
        pixels: (n, 3) uint8, RGB of tissue.

    Returns:
        8 numbers: hematoxylin (3) and eosin (3) as optical density of red, green, blue with length 1, then the 99th
        percentile of the amount of each. Memory: about 100 bytes a pixel.

    Raises:
        StainError: too few stained pixels, or only one stain.
    """
    density = optical_density(pixels)
    stained = density[(density >= BETA).all(axis=1)]
    if len(stained) < MIN_PIXELS:
        raise StainError(
            f"{len(stained)} stained pixels in the tissue of the thumbnail, Macenko needs {MIN_PIXELS}; is it stained "
            "tissue? Choose tiling.stain.method none or reinhard, or leave the slide out"
        )
    stains = _stains(stained)
    amounts = np.clip(stained @ np.linalg.pinv(stains), 0, None)
    saturation = np.percentile(amounts, 99, axis=0)
    if saturation.min() < MIN_SATURATION:
        raise _one_stain()
    return tuple(round(float(value), 6) for value in (*stains.ravel(), *saturation))


def _stains(stained: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3): hematoxylin, which takes more red, then eosin."""
    _, vectors = np.linalg.eigh(stained.T @ stained)
    plane = vectors[:, [2, 1]]  # the two directions with most density, the first of them the mean color
    plane = plane * np.where(plane.sum(axis=0) < 0, -1, 1)
    first, second = (stained @ plane).T
    rims = np.percentile(np.arctan2(second, first), [ALPHA, 100 - ALPHA])
    if np.degrees(np.ptp(rims)) < MIN_ANGLE:
        raise _one_stain()
    found = np.column_stack([np.cos(rims), np.sin(rims)]) @ plane.T
    return found[np.argsort(-found[:, 0])]


def _one_stain() -> StainError:
    return StainError(
        "the colors of the thumbnail's tissue show only one stain, Macenko needs two; is it H&E? Choose "
        "tiling.stain.method none or reinhard, or leave the slide out"
    )


def transform(numbers: tuple[float, ...]) -> Transform:
    """The color transform of a slide: amounts of its stains, scaled, in the reference's stains.

    Unmixing, scaling and mixing are one 3x3 matrix in optical density. White stays white.

    Args:
        numbers: from `estimate`.
    """
    stains, saturation = np.array(numbers[:6]).reshape(2, 3), np.array(numbers[6:])
    scale = np.diag(np.array(REFERENCE_SATURATION) / saturation)
    matrix = np.linalg.pinv(stains) @ scale @ np.array(REFERENCE_STAINS)  # row vectors: density @ matrix
    of_color = optical_density(np.arange(256, dtype=np.uint8))
    mix = step([np.outer(of_color, row) for row in matrix], _RESOLUTION)
    colors = [
        np.clip(np.rint(LIGHT * 10 ** -values(low, high, _RESOLUTION)), 0, 255).astype(np.uint8)
        for low, high in zip(mix.low, mix.high, strict=True)
    ]
    return Transform((mix,), tuple(colors))


def optical_density(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """-log10 of the share of light that comes through; black counts as 1 of 255."""
    return -np.log10(np.maximum(pixels, 1) / LIGHT)
