"""The placement `points`: a window around each marked point, and the windows of the grid that are far from all.

So CODAIT's deep-histopath cuts patches of mitoses.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from preprocessing.marks import Marks, distinct
from preprocessing.placement_settings import AroundPoints
from preprocessing.points import Points
from preprocessing.scales import SlideScale


@dataclass(frozen=True, eq=False)
class FarFromPoints:
    """Keeps the windows whose center is far from all points.

    Attributes:
        points: (n, 2) float64, scale-0 pixels.
        least: distance from the center of a window to a point, scale-0 pixels.
        window: side of a window, scale-0 pixels.
    """

    points: NDArray[np.float64]
    least: int
    window: int

    def __call__(self, origins: NDArray[np.int32]) -> NDArray[np.bool_]:
        """(k,) bool for (k, 2) corners. Memory: 50 bytes a window, and 60 bytes a point that is near one of them."""
        if not len(origins) or not len(self.points):
            return np.ones(len(origins), bool)
        centers = origins + self.window / 2
        reach = (centers.min(axis=0) - self.least, centers.max(axis=0) + self.least)
        near = self.points[((self.points >= reach[0]) & (self.points <= reach[1])).all(axis=1)]
        if not len(near):
            return np.ones(len(origins), bool)
        distance, _ = cKDTree(near).query(centers)
        return np.asarray(distance) >= self.least


def point_marks(points: Points, finest: SlideScale, window: int, placement: AroundPoints) -> Marks:
    """What the points of a slide ask for.

    Two points on one pixel ask for one window, which has the higher label.

    Args:
        points: of the slide.
        finest: scale 0 on the slide.
        window: side of a window, scale-0 pixels.
        placement: of the recipe.

    Returns:
        Of each point the window whose corner is `floor(point) - window // 2`; what would reach beyond the slide is left
        out. Memory: 60 bytes a point.
    """
    at_scale = points.xy / finest.downsample
    wanted = np.floor(at_scale).astype(np.int64) - window // 2
    placed = np.clip(wanted, 0, (finest.width - window, finest.height - window)).astype(np.int32)
    fits = (wanted == placed).all(axis=1)
    origins, labels = distinct(placed[fits], points.labels[fits])
    return Marks(origins, labels, placed[~fits], FarFromPoints(at_scale, placement.min_distance, window))
