"""Whether a probability of 0.8 is right in 8 of 10 cases: reliability by bins, and its expected error.

What is found holds for the mix of classes that was judged. Where the tile job thinned out the normal patches, the
same model is overconfident on whole slides, however well it is calibrated here.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS: Final = 10


@dataclass(frozen=True)
class Reliability:
    """Patches by the probability they were given, in `BINS` bins of equal width.

    Attributes:
        patches: (bins,) float64, how many fell into each; a probability of 1 falls into the last.
        probability_sum: (bins,) float64, sum of what they were given.
        positives: (bins,) float64, how many of them are positive.
    """

    patches: NDArray[np.float64]
    probability_sum: NDArray[np.float64]
    positives: NDArray[np.float64]

    @property
    def mean_probability(self) -> NDArray[np.float64]:
        """(bins,) what was promised; NaN where a bin is empty."""
        return self.probability_sum / np.where(self.patches > 0, self.patches, np.nan)

    @property
    def positive_share(self) -> NDArray[np.float64]:
        """(bins,) what came true; NaN where a bin is empty."""
        return self.positives / np.where(self.patches > 0, self.patches, np.nan)

    @property
    def expected_error(self) -> float:
        """See `expected_calibration_error`."""
        return float(expected_calibration_error(self.patches, self.probability_sum, self.positives))


def bin_of(probabilities: ArrayLike) -> NDArray[np.int64]:
    """Number of the bin of each probability, 0 to `BINS` - 1; bin k holds k / `BINS` and what lies above it."""
    places = np.floor(np.asarray(probabilities, np.float64) * BINS).astype(np.int64)
    return np.minimum(places, BINS - 1)


def reliability(labels: ArrayLike, probabilities: ArrayLike) -> Reliability:
    """Sort patches into bins.

    Args:
        labels: (n,) of 0 and 1.
        probabilities: (n,) of the positive class, 0 to 1.
    """
    places = bin_of(probabilities)
    return Reliability(
        patches=np.bincount(places, minlength=BINS).astype(np.float64),
        probability_sum=np.bincount(places, np.asarray(probabilities, np.float64), BINS).astype(np.float64),
        positives=np.bincount(places, np.asarray(labels, np.float64), BINS).astype(np.float64),
    )


def expected_calibration_error(
    patches: NDArray[np.float64], probability_sum: NDArray[np.float64], positives: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean distance between promise and outcome, bins weighted by their patches (Naeini, Cooper, Hauskrecht 2015).

    Args:
        patches, probability_sum, positives: (…, bins) sums as in `Reliability`; at least one patch in each set.

    Returns:
        (…,) 0 to 1; 0 is perfect.
    """
    return np.abs(probability_sum - positives).sum(axis=-1) / patches.sum(axis=-1)
