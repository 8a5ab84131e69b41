"""Timing in pairs: both ways in turn, so that a machine that slows down slows both."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """Seconds of our way and of a peer's, run after run."""

    ours: list[float]
    peer: list[float]

    @property
    def ratio(self) -> float:
        """How many times as fast ours is: the median over the runs."""
        return statistics.median(peer / ours for ours, peer in zip(self.ours, self.peer, strict=True))


def in_pairs(ours: Callable[[], object], peer: Callable[[], object], runs: int) -> Pair:
    """Run both once for warmth, then in turn.

    Args:
        ours, peer: do the same work.
        runs: counted runs of each.
    """
    ours(), peer()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for work, seconds in zip((ours, peer), times, strict=True):
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
    return Pair(*times)
