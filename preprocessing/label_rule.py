"""From annotated pixels to the label of a window: the rules that look at its center square."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocessing.labels import Truth
from preprocessing.tiling_settings import Tiling
from preprocessing.tissue_rules.windows import window_sums


@dataclass(frozen=True, eq=False)
class WindowLabels:
    """What the annotation says of some windows.

    Attributes:
        label: (n,) int32, index of the class from 1, 0 for none.
        fraction: (n,) float32, share of the center under the class that covers most of it, which is the class of the
            label where there is one.
    """

    label: NDArray[np.int32]
    fraction: NDArray[np.float32]


def label_windows(truth: Truth, origins: NDArray[np.int32], tiling: Tiling) -> WindowLabels:
    """Label windows by the class that covers most of their center; of two that cover as much, the lower label.

    Rule `any`: one annotated pixel in the center is enough. Rule `fraction`: the class covers at least `min_fraction`
    of the center. A window without an annotated pixel in its center has label 0 under both.

    Args:
        truth: what is annotated.
        origins: (n, 2) int32 top-left corners x, y of the windows, scale-0 pixels; neighbors, e.g. of one block, on a
            grid or not; n may be 0.
        tiling: window, center and label rule.

    Returns:
        In the order of `origins`. Memory: about 6 bytes a pixel of the square around all centers, and what `truth`
        needs for it.

    Raises:
        AnnotationError: from `truth`.
    """
    count = len(origins)
    most, best = np.zeros(count, np.int32), np.zeros(count, np.int32)
    if count:
        corners = origins + np.int32((tiling.window - tiling.center) // 2)
        left_top = corners.min(axis=0)
        width, height = (int(extent) for extent in np.ptp(corners, axis=0) + tiling.center)
        region = (int(left_top[0]), int(left_top[1]), width, height)
        annotated = np.zeros((1, 1), np.uint8) if truth.nothing_near(*region) else truth.labels(*region)
        for label in _labels_in(annotated):
            covered = window_sums(annotated == label, corners - left_top, tiling.center)
            best[covered > most] = label
            most = np.maximum(most, covered)
    fraction = (most / tiling.center**2).astype(np.float32)
    if tiling.labels.rule == "fraction":
        best[fraction < np.float32(tiling.labels.min_fraction or 0)] = 0
    return WindowLabels(best, fraction)


def _labels_in(annotated: NDArray[np.uint8]) -> list[int]:
    """The labels that occur, rising; most blocks hold none, and looking for that is quick."""
    if not annotated.any():
        return []
    return [label for label in range(1, int(annotated.max()) + 1) if (annotated == label).any()]
