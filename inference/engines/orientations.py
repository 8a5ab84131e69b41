"""The 8 turns and mirrorings of a window, averaged (Liu et al. 2017, arXiv 1703.02442, section 3)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from inference.engines.base import Engine, Images


class EightOrientations:
    """An engine that judges each window in all its orientations and gives the mean; eight times the work.

    Args:
        engine: judges one orientation.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def predict(self, images: Images) -> NDArray[np.float32]:
        """See `Engine`. Memory: the patches once more."""
        total = np.zeros(len(images[0]), np.float64)
        for turned in orientations(images):
            total += self._engine.predict(turned)
        return (total / 8).astype(np.float32)


def orientations(images: Images) -> Iterator[Images]:
    """Square windows turned by 0, 90, 180, 270 degrees, and the same mirrored; all scales alike."""
    for mirrored in (False, True):
        sides = [scale[:, :, ::-1] if mirrored else scale for scale in images]
        for quarters in range(4):
            yield [np.ascontiguousarray(np.rot90(scale, quarters, axes=(1, 2))) for scale in sides]
