"""A slide's predictions as a picture: one cell per position of the prediction grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocessing.tiling_settings import Tiling


@dataclass(frozen=True)
class ProbabilityMap:
    """Probabilities on the prediction grid.

    Attributes:
        values: (rows, columns) float32, NaN where no tissue was judged. Memory: 4 bytes a grid position.
        first: level-0 x and y of the center of the first cell.
        step: level-0 pixels from one cell to the next.
    """

    values: NDArray[np.float32]
    first: tuple[float, float]
    step: float

    @property
    def judged(self) -> int:
        """Cells with a probability."""
        return int(np.isfinite(self.values).sum())

    def positive(self, threshold: float) -> int:
        """Cells with a probability of at least `threshold`."""
        return int((self.values >= threshold).sum())

    def center(self, row: int, column: int) -> tuple[int, int]:
        """Level-0 pixel of the center of a cell."""
        return round(self.first[0] + column * self.step), round(self.first[1] + row * self.step)

    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top of the picture in level-0 pixels, as matplotlib takes it."""
        rows, columns = self.values.shape
        left, top = (first - self.step / 2 for first in self.first)
        return left, left + columns * self.step, top + rows * self.step, top

    def coarser(self, factor: int) -> "ProbabilityMap":
        """The same area in cells of `factor` x `factor`, each with their highest probability."""
        rows, columns = (-(-length // factor) for length in self.values.shape)
        padding = [
            (0, cells * factor - length) for cells, length in zip((rows, columns), self.values.shape, strict=True)
        ]
        padded = np.pad(self.values, padding, constant_values=np.nan)
        values = np.fmax.reduce(padded.reshape(rows, factor, columns, factor), axis=(1, 3))
        shift = (factor - 1) / 2 * self.step
        return ProbabilityMap(values, (self.first[0] + shift, self.first[1] + shift), self.step * factor)


def probability_map(
    xy: NDArray[np.int32], probability: NDArray[np.float32], tiling: Tiling, downsample: float
) -> ProbabilityMap:
    """Put predictions on their grid.

    Args:
        xy: (n, 2) top-left corners of the windows, level-0 pixels, n at least 1.
        probability: (n,).
        tiling: of the prediction recipe.
        downsample: level-0 pixels per scale-0 pixel.
    """
    step = tiling.stride * downsample
    first = tiling.offset[0] * downsample
    cells = np.rint((xy - first) / step).astype(int)
    low, high = cells.min(axis=0), cells.max(axis=0)
    values = np.full((high[1] - low[1] + 1, high[0] - low[0] + 1), np.nan, np.float32)
    values[cells[:, 1] - low[1], cells[:, 0] - low[0]] = probability
    center = first + low * step + tiling.window * downsample / 2
    return ProbabilityMap(values, (float(center[0]), float(center[1])), step)
