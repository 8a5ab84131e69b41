"""The slow, obvious ways that this room's results are held against; no project code."""

import math
from collections.abc import Mapping, Sequence

import numpy as np


def lesions_one_by_one(
    cells: Sequence[tuple[float, float, float]], threshold: float, radius: float
) -> list[tuple[float, float, float]]:
    """Liu et al. 2017 over (x, y, probability) of every cell in raster order: maximum, clear, repeat while above."""
    left = list(cells)
    found = []
    while left:
        best = left[0]
        for cell in left:
            if cell[2] > best[2]:
                best = cell
        if not best[2] > threshold:
            break
        found.append(best)
        left = [cell for cell in left if math.hypot(cell[0] - best[0], cell[1] - best[1]) > radius]
    return found


def table_by_counting(labels: Sequence[bool], probabilities: Sequence[float], threshold: float) -> Mapping[str, float]:
    """The metrics by their definitions; the AUC is the chance that a positive outranks a negative, ties half."""
    actual, score = np.asarray(labels, bool), np.asarray(probabilities, np.float64)
    found = np.array([value >= np.float32(threshold) for value in np.asarray(probabilities, np.float32)])
    higher = (score[actual][:, None] > score[~actual][None, :]).mean()
    equal = (score[actual][:, None] == score[~actual][None, :]).mean()
    return {
        "auc": higher + equal / 2,
        "threshold": threshold,
        "sensitivity": (found & actual).sum() / actual.sum(),
        "specificity": (~found & ~actual).sum() / (~actual).sum(),
        "recall": (found & actual).sum() / actual.sum(),
        "precision": (found & actual).sum() / found.sum(),
        "patches": len(actual),
        "positives": actual.sum(),
    }
