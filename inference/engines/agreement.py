"""What bfloat16 may compute: everything, or what it is sure of, or nothing. Pure arithmetic on a probe."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.engines.base import Precision

_SAFETY: Final = 1.75  # a run has a thousand times the windows of the probe, and some are further apart
_WORTH: Final = 0.4  # share of windows in doubt from which float32 alone is as fast
_FEW: Final = 32  # windows: how far others move is not told by fewer
_SURE: Final = 1e-6  # nearer to 0 and 1 a difference of log odds is rounding
_BORDERS: Final = np.arange(0, 12, 0.05)  # log odds: from even to sure
_BEYOND: Final = 0.25  # log odds: windows that are decided by so much more count as neighbors of a border


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


def agreement(
    exact: NDArray[np.float32], quick: NDArray[np.float32], seen: NDArray[np.float32], tolerance: float
) -> Agreement:
    """How to stay within a difference of probabilities at the lowest cost.

    bfloat16 moves the log odds of a window by some amount, the more decided windows by more; its probability moves the
    further, the nearer it is to one half. So it is the undecided windows that are off, and they are known by what
    bfloat16 says of them. Searched is the least decided border such that beyond it no window would be off by more than
    the tolerance, if it moved 1.75 times as far as any window of the probe that is hardly more decided.

    Args:
        exact, quick: (n,) probabilities of the same windows in float32 and in bfloat16, the least decided ones of the
            probe among them; n at least 1.
        seen: (m,) probabilities in bfloat16 of all windows of the probe.
        tolerance: largest difference of a probability.
    """
    odds = _log_odds(quick)
    side = np.where(odds < 0, -1, 1)
    inwards = odds * side - _log_odds(exact) * side
    if np.isnan(inwards).any():
        return Agreement("float32")
    order = np.argsort(np.abs(odds))
    as_decided = np.searchsorted(np.abs(odds)[order], _BORDERS + _BEYOND, side="right")
    last = np.maximum(as_decided, min(_FEW, len(order))) - 1
    in_by, out_by = (_SAFETY * np.maximum.accumulate(np.maximum(move[order], 0))[last] for move in (inwards, -inwards))
    at = _logistic(-_BORDERS)
    off = np.maximum(_logistic(in_by - _BORDERS) - at, at - _logistic(-_BORDERS - out_by))
    within = int(np.max(np.flatnonzero(off > tolerance) + 1, initial=0))
    if within == 0:
        return Agreement("bfloat16")
    if within == len(_BORDERS):
        return Agreement("float32", share=1.0)
    doubt = float(at[within])
    share = float(in_doubt(seen, doubt).mean())
    return Agreement("mixed", doubt, share) if share < _WORTH else Agreement("float32", share=share)


def in_doubt(probability: NDArray[np.float32], doubt: float) -> NDArray[np.bool_]:
    """Which probabilities lie from `doubt` to 1 minus it: (n,) bool."""
    return (probability >= np.float32(doubt)) & (probability <= np.float32(1 - doubt))


def _log_odds(probability: NDArray[np.float32]) -> NDArray[np.float64]:
    clipped = np.clip(probability.astype(np.float64), _SURE, 1 - _SURE)
    return np.log(clipped / (1 - clipped))


def _logistic(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-odds))
