"""The 8 turns and mirrorings of a window, averaged (Liu et al. 2017, arXiv 1703.02442, section 3)."""

from collections.abc import Iterable, Iterator

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

    def predict(self, batches: Iterable[Images]) -> NDArray[np.float32]:
        """See `Engine`. Memory: a batch once more, and 32 bytes a patch."""
        counts: list[int] = []

        def turned() -> Iterator[Images]:
            for images in batches:
                counts.append(len(images[0]))
                yield from orientations(images)

        answers = self._engine.predict(turned())
        of_batches = np.split(answers, 8 * np.cumsum(counts, dtype=np.int64)[:-1])
        means = [each.reshape(8, -1).mean(axis=0, dtype=np.float64) for each in of_batches]
        return np.concatenate(means).astype(np.float32)


def orientations(images: Images) -> Iterator[Images]:
    """Square windows turned by 0, 90, 180, 270 degrees, and the same mirrored; all scales alike."""
    for mirrored in (False, True):
        sides = [scale[:, :, ::-1] if mirrored else scale for scale in images]
        for quarters in range(4):
            yield [np.ascontiguousarray(np.rot90(scale, quarters, axes=(1, 2))) for scale in sides]
