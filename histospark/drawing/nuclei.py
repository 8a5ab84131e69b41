"""Nuclei: small sprites of hematoxylin density, drawn once, stamped many thousand times."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histospark.drawing.planes import Plane, noise


@dataclass(frozen=True)
class Kind:
    """How the nuclei of one kind of cell look; ranges are uniform.

    Attributes:
        radius: smallest and largest radius, pixels at 0.25 um.
        stretch: smallest and largest ratio of the axes.
        wobble: irregularity of the outline, 0 is an ellipse.
        density: least and most hematoxylin in the middle, natural absorbance.
        rim: hematoxylin of the membrane on top of that.
        grain: contrast of the chromatin, as a share of the density.
        nucleoli: most nucleoli in one nucleus.
    """

    radius: tuple[float, float]
    stretch: tuple[float, float]
    wobble: float
    density: tuple[float, float]
    rim: float
    grain: float
    nucleoli: int


LYMPHOCYTE = Kind((8, 11), (1.0, 1.25), 0.05, (1.2, 2.1), 0.30, 0.32, 0)
FOLLICLE = Kind((9.5, 12), (1.0, 1.35), 0.08, (0.9, 1.5), 0.35, 0.35, 1)
SPINDLE = Kind((7, 9.5), (2.4, 4.2), 0.08, (0.9, 1.6), 0.20, 0.25, 0)
TUMOR = Kind((14, 20), (1.0, 1.5), 0.05, (0.40, 0.80), 0.45, 0.30, 2)
TUMOR_DARK = Kind((12, 16), (1.1, 1.6), 0.08, (1.1, 1.6), 0.35, 0.30, 0)


def sprites(rng: np.random.Generator, kind: Kind, count: int) -> list[Plane]:
    """Draw a library of nuclei of one kind at several sizes and rotations.

    Args:
        rng: source of chance.
        kind: what they look like.
        count: how many different nuclei.

    Returns:
        Square float32 arrays of odd side, hematoxylin density, 0 at the border.
    """
    return [_sprite(rng, kind) for _ in range(count)]


def _sprite(rng: np.random.Generator, kind: Kind) -> Plane:
    radius = rng.uniform(*kind.radius)
    root = np.sqrt(rng.uniform(*kind.stretch))
    half = int(radius * root * (1 + 2 * kind.wobble)) + 4
    side = 2 * half + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    along = (x * np.cos(turn) + y * np.sin(turn)) / root
    across = (y * np.cos(turn) - x * np.sin(turn)) * root
    angle = np.arctan2(across, along)
    reach = np.ones_like(angle)
    for order in (2, 3, 4, 5):
        reach += kind.wobble * rng.uniform(0, 1) * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    depth = 1 - np.hypot(along, across) / (radius * reach)  # 1 in the middle, 0 on the membrane
    cover = np.clip(depth * radius / 2.2 + 0.5, 0, 1)
    density = rng.uniform(*kind.density) * (1 + kind.grain * (noise(rng, side, 4.5) + 0.6 * noise(rng, side, 2.2)))
    density += kind.rim * rng.uniform(0.6, 1.2) * np.exp(-(((depth - 0.09) * radius / 1.5) ** 2))
    for _ in range(rng.integers(kind.nucleoli + 1)):
        spot = rng.uniform(-0.45, 0.45, size=2) * radius
        density += 0.9 * np.exp(-((along - spot[0]) ** 2 + (across - spot[1]) ** 2) / (2 * 1.7**2))
    sprite: Plane = (cover * np.maximum(density, 0.05)).astype(np.float32)
    return sprite


def lattice(rng: np.random.Generator, where: NDArray[np.bool_], spacing: float, jitter: float) -> NDArray[np.int32]:
    """Spread points over a region: a hexagonal lattice, each point moved a little.

    Args:
        rng: source of chance.
        where: (side, side) bool, the region.
        spacing: distance of neighbors, pixels.
        jitter: standard deviation of the movement, as a share of the spacing.

    Returns:
        (n, 2) int32 of x, y inside the region.
    """
    side = len(where)
    rise = spacing * np.sqrt(0.75)
    row, column = np.mgrid[: int(side / rise) + 1, : int(side / spacing) + 1].reshape(2, -1)
    points = np.stack([(column + 0.5 * (row % 2)) * spacing, row * rise], axis=1)
    points += rng.normal(0, jitter * spacing, points.shape)
    xy = np.floor(points).astype(np.int32)
    xy = xy[((xy >= 0) & (xy < side)).all(axis=1)]
    kept: NDArray[np.int32] = xy[where[xy[:, 1], xy[:, 0]]]
    return kept


def stamp(plane: Plane, library: Sequence[Plane], xy: NDArray[np.int32], rng: np.random.Generator) -> None:
    """Put a random sprite at every point, in place; what sticks out of the plane is cut off.

    Where nuclei meet, the denser one shows: a section is too thin to hold two on top of each other.

    Args:
        plane: (side, side) float32, changed.
        library: sprites of odd side.
        xy: (n, 2) int32, where their middles go.
        rng: source of chance.
    """
    side = len(plane)
    for (x, y), pick in zip(xy.tolist(), rng.integers(len(library), size=len(xy)).tolist(), strict=True):
        sprite = library[pick]
        half = len(sprite) // 2
        left, top = x - half, y - half
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(x + half + 1, side), min(y + half + 1, side)
        part = plane[y0:y1, x0:x1]
        np.maximum(part, sprite[y0 - top : y1 - top, x0 - left : x1 - left], out=part)
