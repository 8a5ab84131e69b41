"""bfloat16 for what it is sure of, float32 for the rest."""

import numpy as np
from numpy.typing import NDArray

from inference.engines.agreement import in_doubt
from inference.engines.base import Engine, Images


class MixedPrecision:
    """An engine that judges quickly, and judges again what is in doubt.

    Args:
        quick: computes in bfloat16.
        exact: the same model in float32.
        doubt: its answers from this probability to 1 minus it are in doubt.
    """

    def __init__(self, quick: Engine, exact: Engine, doubt: float) -> None:
        self._quick = quick
        self._exact = exact
        self._doubt = doubt

    def predict(self, images: Images) -> NDArray[np.float32]:
        """See `Engine`. Memory: the patches in doubt once more."""
        probability = self._quick.predict(images)
        again = in_doubt(probability, self._doubt)
        if again.any():
            probability[again] = self._exact.predict([scale[again] for scale in images])
        return probability
