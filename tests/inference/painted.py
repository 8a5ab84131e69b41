"""Truth painted by hand, pixel by pixel of the evaluation mask."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.camelyon16 import Detections
from inference.lesion_truth import EvaluationGrid, TrueLesions, true_lesions

MPP = 0.25  # so that a pixel of the mask is 8 um


@dataclass(frozen=True, eq=False)
class PaintedTruth:
    """Answers from an array of the whole slide, as a mask or polygons would."""

    pixels: NDArray[np.bool_]

    def labels(self, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        return self.pixels[y : y + height, x : x + width].astype(np.uint8)

    def nothing_near(self, x: int, y: int, width: int, height: int) -> bool:
        return not self.pixels[y : y + height, x : x + width].any()


def canvas(side: int = 120) -> NDArray[np.bool_]:
    return np.zeros((side, side), bool)


def lesions_of(pixels: NDArray[np.bool_], mpp: float = MPP) -> TrueLesions:
    """The lesions of a slide of which each mask pixel is 32 by 32."""
    grid = EvaluationGrid.of(pixels.shape[1] * 32, pixels.shape[0] * 32, mpp)
    return true_lesions(PaintedTruth(pixels), grid)


def at_pixels(*found: tuple[int, int, float]) -> Detections:
    """Detections in the middle of mask pixels (column, row), each with its score."""
    return detections([(32 * column + 16, 32 * row + 16, score) for column, row, score in found])


def detections(found: Sequence[tuple[float, float, float]]) -> Detections:
    """Detections at level-0 pixels (x, y), each with its score."""
    table = np.array(found, np.float64).reshape(-1, 3)
    return Detections(table[:, :2], table[:, 2])
