"""From dye to color: absorbances add, light falls off exponentially (Beer and Lambert)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histospark.drawing.planes import Plane, noise

_HEMATOXYLIN = np.array([0.50, 0.76, 0.42])
_EOSIN = np.array([0.27, 0.81, 0.52])


@dataclass(frozen=True, eq=False)
class Stain:
    """The colors of one slide.

    Attributes:
        hematoxylin: (3,) float32, natural absorbance of red, green, blue by density 1.
        eosin: the same of eosin.
        glass: (3,) float32, light through the bare slide, gray levels from 0 to 255.
    """

    hematoxylin: NDArray[np.float32]
    eosin: NDArray[np.float32]
    glass: NDArray[np.float32]


def draw_stain(rng: np.random.Generator) -> Stain:
    """Choose how strongly and in which hue a slide is stained; knows nothing of lesions.

    Args:
        rng: source of chance.

    Returns:
        A stain near the usual one.
    """
    hematoxylin, eosin = (
        (vector * rng.uniform(0.88, 1.12) * rng.normal(1, 0.025, 3)).astype(np.float32)
        for vector in (_HEMATOXYLIN, _EOSIN)
    )
    glass = (rng.uniform(240, 247) + rng.normal(0, 0.8, 3)).astype(np.float32)
    return Stain(hematoxylin, eosin, glass)


def develop(
    rng: np.random.Generator, stain: Stain, layers: Sequence[tuple[Plane, NDArray[np.float32]]]
) -> NDArray[np.uint8]:
    """Shine light through the slide.

    Args:
        rng: source of chance, for uneven light and the noise of the camera.
        stain: the color of the glass.
        layers: densities (side, side) float32, each with its (3,) absorbance.

    Returns:
        (side, side, 3) uint8, RGB.
    """
    side = len(layers[0][0])
    light = 1.5 * noise(rng, side, side / 3) + 1.2 * rng.standard_normal((side, side), dtype=np.float32)
    image = np.empty((side, side, 3), dtype=np.uint8)
    for channel in range(3):
        absorbance = np.zeros((side, side), dtype=np.float32)
        for density, vector in layers:
            absorbance += density * vector[channel]
        np.negative(absorbance, out=absorbance)
        np.exp(absorbance, out=absorbance)
        absorbance *= stain.glass[channel]
        absorbance += light
        image[..., channel] = np.clip(np.rint(absorbance), 0, 255)
    return image
