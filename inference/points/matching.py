"""The detections of one slide against the points that are marked on it.

The highest detection comes first, and takes the nearest point within the radius that none has taken. A detection near
taken points alone counts neither way, as several on one mitosis in deep-histopath; one that is near no point is a false
positive. So what counts at a threshold is what the detections from it on come to, whatever lies below.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from inference.camelyon16 import Detections


class Kind(IntEnum):
    """What a detection is."""

    FALSE = 0
    FOUND = 1
    REPEATED = 2


@dataclass(frozen=True, eq=False)
class MatchedPoints:
    """The detections of a slide beside its points.

    Attributes:
        kinds: (n,) int64 of `Kind`, of each detection.
        scores: (m,) float64, of each point the detection that found it; 0 where it was missed.
        found: (m,) bool.
    """

    kinds: NDArray[np.int64]
    scores: NDArray[np.float64]
    found: NDArray[np.bool_]


def matched_points(points: NDArray[np.float64], detections: Detections, radius: float) -> MatchedPoints:
    """Match detections and points.

    Args:
        points: (m, 2) x and y, level-0 pixels.
        detections: on the same slide; of equal ones the first comes first.
        radius: farthest that a detection is from the point it finds, level-0 pixels.

    Returns:
        Memory: a few numbers a point.
    """
    kinds = np.full(len(detections.scores), Kind.FALSE, np.int64)
    scores, found = np.zeros(len(points)), np.zeros(len(points), bool)
    for detection in np.argsort(-detections.scores, kind="stable").tolist():
        away = np.hypot(*(points - detections.xy[detection]).T)
        near = away <= radius
        if not near.any():
            continue
        left = np.where(near & ~found, away, np.inf)
        nearest = int(left.argmin())
        if np.isinf(left[nearest]):
            kinds[detection] = Kind.REPEATED
            continue
        kinds[detection] = Kind.FOUND
        scores[nearest], found[nearest] = detections.scores[detection], True
    return MatchedPoints(kinds, scores, found)
