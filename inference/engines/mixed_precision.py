"""bfloat16 for what it is sure of, float32 for the rest."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from inference.engines.agreement import in_doubt
from inference.engines.base import Engine, Images, regrouped


class MixedPrecision:
    """An engine that judges quickly, and judges again what is in doubt.

    Args:
        quick: computes in bfloat16.
        exact: the same model in float32.
        doubt: its answers from this probability to 1 minus it are in doubt.
        batch_size: patches in doubt that are gathered before they are judged again: a model takes twice the time for
            each of a few.
    """

    def __init__(self, quick: Engine, exact: Engine, doubt: float, batch_size: int) -> None:
        self._quick = quick
        self._exact = exact
        self._doubt = doubt
        self._batch_size = batch_size

    def predict(self, batches: Iterable[Images]) -> NDArray[np.float32]:
        """See `Engine`. Memory: two batches of patches in doubt."""
        quick = [np.zeros(0, np.float32)]

        def doubtful() -> Iterator[Images]:
            for images in batches:
                quick.append(self._quick.predict([images]))
                again = in_doubt(quick[-1], self._doubt)
                yield [scale[again] for scale in images]

        exact = self._exact.predict(regrouped(doubtful(), self._batch_size))
        probability = np.concatenate(quick)
        probability[in_doubt(probability, self._doubt)] = exact
        return probability
