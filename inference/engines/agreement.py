"""What bfloat16 may compute: everything, or what it is sure of, or nothing. Pure arithmetic on a probe."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.engines.base import Precision

_SAFETY: Final = 1.5  # a run has a hundred times the windows of the probe, and some are further apart
_WORTH: Final = 0.4  # share of windows in doubt from which float32 alone is as fast
_SURE: Final = 1e-3  # nearer to 0 and 1 a difference of log odds is rounding


@dataclass(frozen=True)
class Agreement:
    """What to compute in.

    Attributes:
        precision: float32; bfloat16; or mixed, bfloat16 first and float32 again for windows in doubt.
        doubt: of mixed, the lowest probability that is in doubt; the highest is 1 minus it.
        share: of the windows of the probe that were in doubt.
    """

    precision: Precision
    doubt: float = 0.0
    share: float = 0.0


def agreement(exact: NDArray[np.float32], quick: NDArray[np.float32], tolerance: float) -> Agreement:
    """How to stay within a difference of probabilities at the lowest cost.

    bfloat16 moves the log odds of a window by up to some amount, whatever they are, and its probability the more, the
    nearer that is to one half. So it is the undecided windows that are off, and they are known by their probability:
    from the lowest p on that log odds moved so far lift by more than the tolerance.

    Args:
        exact, quick: (n,) probabilities of the same windows in float32 and in bfloat16; n at least 1.
        tolerance: largest difference of a probability.
    """
    moved = _SAFETY * float(np.abs(_log_odds(exact) - _log_odds(quick)).max())
    if math.isnan(moved):
        return Agreement("float32")
    # p is lifted to p e / (1 - p + p e), e being exp(moved): a quadratic in p
    least, growth = 1 - tolerance, math.expm1(moved)
    if growth * least**2 <= 4 * tolerance:
        return Agreement("bfloat16")
    doubt = (least - math.sqrt(least**2 - 4 * tolerance / growth)) / 2
    share = float(in_doubt(quick, doubt).mean())
    return Agreement("mixed", doubt, share) if share < _WORTH else Agreement("float32", share=share)


def in_doubt(probability: NDArray[np.float32], doubt: float) -> NDArray[np.bool_]:
    """Which probabilities lie from `doubt` to 1 minus it: (n,) bool."""
    return (probability >= np.float32(doubt)) & (probability <= np.float32(1 - doubt))


def _log_odds(probability: NDArray[np.float32]) -> NDArray[np.float64]:
    clipped = np.clip(probability.astype(np.float64), _SURE, 1 - _SURE)
    return np.log(clipped / (1 - clipped))
