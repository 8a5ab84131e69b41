"""Where things lie on a drawn slide: the outline of the tissue, the lesions in it, the holes in them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from histospark.drawing.planes import Polygon, inside

_COARSE = 3  # placing works on this pyramid level: 8 level-0 pixels a step
_TRIES = 200
_SHRINK = 0.93


@dataclass(frozen=True, eq=False)
class Plan:
    """The outlines of one slide, all in level-0 pixels.

    Attributes:
        side: side of the slide, pixels.
        tissue: pieces of tissue.
        lesions: tumor, wholly inside the first piece of tissue, not touching each other.
        exclusions: normal tissue enclosed by a lesion; cut out of it.
    """

    side: int
    tissue: tuple[Polygon, ...]
    lesions: tuple[Polygon, ...]
    exclusions: tuple[Polygon, ...]


def blob(rng: np.random.Generator, radius: float, roughness: float, vertices: int) -> Polygon:
    """Draw a smooth irregular outline around the origin.

    Args:
        rng: source of chance.
        radius: radius of the circle of the same area, pixels.
        roughness: 0 is a circle; at 0.15 bays appear; at 0.3 arms.
        vertices: number of points.

    Returns:
        (vertices, 2) float64, star-shaped about the origin.
    """
    angle = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    reach = np.ones_like(angle)
    for order in range(2, 8):
        amplitude = roughness * rng.uniform(0.5, 1.0) * (2 / order) ** 0.7
        reach += amplitude * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    reach = np.maximum(reach, 0.3)
    polygon = np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1)
    scaled: Polygon = polygon * (radius / np.sqrt(area(polygon) / np.pi))
    return scaled


def area(polygon: Polygon) -> float:
    """Area of a simple polygon, square pixels."""
    x, y = polygon.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def plan(rng: np.random.Generator, side: int, lesions: int, exclusions: int) -> Plan:
    """Draw the outlines of a slide.

    Args:
        rng: source of chance.
        side: side of the slide, pixels.
        lesions: number of lesions; together they take 20 to 30 % of the tissue.
        exclusions: number of lesions, largest first, that enclose a hole.

    Returns:
        The plan; vertices are rounded to a tenth of a pixel, so that files hold them exactly.
    """
    middle = side * rng.uniform(0.48, 0.52, size=2)
    outline = np.clip(blob(rng, 0.405 * side, 0.085, 180) + middle, 0.03 * side, 0.97 * side)
    fragment = blob(rng, 0.042 * side, 0.15, 60) + side * rng.choice([0.085, 0.915], size=2)
    share = rng.uniform(0.21, 0.30)
    weights = np.sqrt(rng.dirichlet(np.full(max(lesions, 1), 4.0)))
    radii = np.sort(weights * np.sqrt(share * area(outline) / np.pi))[::-1]
    placed = _place(rng, side, outline, radii[:lesions])
    holes = [_hole(rng, lesion) for lesion in placed[:exclusions]]
    rounded = [tuple(np.round(p, 1) for p in group) for group in ([outline, fragment], placed, holes)]
    return Plan(side, *rounded)


def _place(rng: np.random.Generator, side: int, outline: Polygon, radii: NDArray[np.float64]) -> list[Polygon]:
    """Put lesions into the outline, largest first, apart from its edge and from each other."""
    step = 2**_COARSE
    free = inside([outline], side, _COARSE)
    placed: list[Polygon] = []
    for wanted in radii:
        clearance = distance_transform_edt(np.pad(free, 1))[1:-1, 1:-1] * step - 0.035 * side
        lesion = _fit(rng, clearance, float(wanted), step)
        placed.append(lesion)
        free &= ~inside([lesion], side, _COARSE)
    return placed


def _fit(rng: np.random.Generator, clearance: NDArray[np.float64], radius: float, step: int) -> Polygon:
    """Try places and shapes until one lies in the clear; every failed round makes the lesion a little smaller."""
    ys, xs = np.nonzero(clearance > 0)
    while True:
        for _ in range(_TRIES):
            shape = blob(rng, radius, 0.14, 72)
            pick = rng.integers(len(xs))
            polygon = shape + np.array([xs[pick], ys[pick]]) * step
            cells = (polygon / step).astype(np.int64)
            low, high = cells.min(), cells.max()
            if low >= 0 and high < len(clearance) and bool((clearance[cells[:, 1], cells[:, 0]] > 0).all()):
                return polygon
        radius *= _SHRINK


def _hole(rng: np.random.Generator, lesion: Polygon) -> Polygon:
    """Draw a hole of about an eighth of the lesion around its middle."""
    middle = lesion.mean(axis=0)
    narrowest = float(np.hypot(*(lesion - middle).T).min())
    radius = min(0.36 * np.sqrt(area(lesion) / np.pi), 0.6 * narrowest)
    hole = blob(rng, float(radius), 0.12, 36)
    hole += middle
    return hole
