"""Lesions: the local maxima of a probability map, by non-maximum suppression."""

from dataclasses import dataclass

import numpy as np

from inference.probability_map import ProbabilityMap


@dataclass(frozen=True)
class Lesion:
    """One found lesion: level-0 pixel and probability."""

    x: int
    y: int
    probability: float


def find_lesions(heatmap: ProbabilityMap, threshold: float, radius: int) -> list[Lesion]:
    """Take the maximum, clear a disk around it, repeat while above the threshold (Liu et al. 2017).

    Args:
        heatmap: of one slide.
        threshold: a lesion's probability is greater than this.
        radius: of the disk, level-0 pixels.

    Returns:
        Highest probability first; at most the slide's area over the disk's.
    """
    limit = float(np.float32(threshold))  # as exact as the probabilities, so that an equal one is not above it
    left = np.nan_to_num(heatmap.values, nan=-1.0)
    reach = int(radius / heatmap.step)
    offsets = np.arange(-reach, reach + 1)
    disk = offsets[:, None] ** 2 + offsets[None, :] ** 2 <= (radius / heatmap.step) ** 2
    padded = np.pad(left, reach, constant_values=-1.0)
    found: list[Lesion] = []
    while True:
        row, column = np.unravel_index(int(padded.argmax()), padded.shape)
        best = float(padded[row, column])
        if best <= limit:
            return found
        found.append(Lesion(*heatmap.center(int(row) - reach, int(column) - reach), best))
        around = padded[row - reach : row + reach + 1, column - reach : column + reach + 1]
        around[disk] = -1.0
