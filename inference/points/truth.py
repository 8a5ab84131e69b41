"""What is known of the points of a slide."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocessing.points import points_on
from preprocessing.readers.opening import read_info
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Tiling

_CORNERS = 24  # of a ring around a point


@dataclass(frozen=True, eq=False)
class TruePoints:
    """The points of one slide that a model is to find, and where it is known that there is none.

    Attributes:
        xy: (m, 2) float64, level-0 pixels.
        labels: (m,) int, from 1.
        hard_negatives: (k, 2) float64, points of excluded groups.
    """

    xy: NDArray[np.float64]
    labels: NDArray[np.int64]
    hard_negatives: NDArray[np.float64]


def true_points(entry: SlideEntry, tiling: Tiling) -> TruePoints | None:
    """The points of a slide; None where nobody looked.

    Raises:
        SlideError: slide or annotation cannot be read, or they do not belong together.
    """
    # Without a file of points the slide need not be opened for its size.
    width, height = (0, 0) if entry.annotation is None else read_info(entry.path).level_sizes[0]
    points = points_on(entry, tiling.labels, width, height)
    if points is None:
        return None
    real = points.labels > 0
    return TruePoints(points.xy[real], points.labels[real].astype(np.int64), points.xy[~real])


def rings_around(points: NDArray[np.float64], radius: float) -> list[NDArray[np.float64]]:
    """A closed ring around each of (m, 2) points, for pictures: (25, 2) each."""
    turn = np.linspace(0, 2 * math.pi, _CORNERS + 1)
    circle = radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return [point + circle for point in points]
