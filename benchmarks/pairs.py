"""Timing in turn: all ways after each other, round after round, so that a machine that slows down slows them all.

A whole process is timed from its start to its end. What it needs before any slide (interpreter, imports, a Java machine)
is measured by the same command on a tiny slide in the same round, and taken off.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """One run of one way.

    Attributes:
        seconds: from start to end.
        tiles: made by it; 0 where nobody counts.
    """

    seconds: float
    tiles: int = 0


@dataclass(frozen=True)
class Rate:
    """Tiles per second of one way over several rounds, start-up taken off.

    Attributes:
        middle: the median, of which all ratios are made.
        low, high: slowest and fastest round.
        tiles: of one run.
    """

    middle: float
    low: float
    high: float
    tiles: int

    def __str__(self) -> str:
        return f"{self.middle:,.0f} tiles/s ({self.low:,.0f} to {self.high:,.0f})"


def timed(work: Callable[[], object]) -> Run:
    """Run once; what `work` returns is its number of tiles, where it is an int."""
    started = time.perf_counter()
    result = work()
    return Run(time.perf_counter() - started, result if isinstance(result, int) else 0)


def in_turn(ways: Mapping[str, Callable[[], Run]], rounds: int) -> dict[str, list[Run]]:
    """Run every way once for warmth, then all in turn, every other round backwards.

    Args:
        ways: by name.
        rounds: counted runs of each.

    Returns:
        The runs of each way, round by round.
    """
    for way in ways.values():
        way()
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways) if number % 2 == 0 else reversed(ways):
            runs[name].append(ways[name]())
    return runs


def rate(runs: Sequence[Run], start_up: Sequence[Run] = ()) -> Rate:
    """Tiles per second without the start-up.

    Args:
        runs: of one way, all with the same number of tiles.
        start_up: runs of the same command with next to nothing to do; their median is taken off.

    Raises:
        ValueError: runs differ in their tiles, or one was no longer than the start-up.
    """
    counts = {run.tiles for run in runs}
    if len(counts) != 1:
        raise ValueError(f"the same work gave different numbers of tiles: {sorted(counts)}")
    off = middle_seconds(start_up) if start_up else 0.0
    seconds = [run.seconds - off for run in runs]
    if min(seconds) <= 0:
        raise ValueError(f"a run took {min(run.seconds for run in runs):.2f} s, no more than its start-up of {off:.2f} s")
    tiles = counts.pop()
    return Rate(tiles / statistics.median(seconds), tiles / max(seconds), tiles / min(seconds), tiles)


def middle_seconds(runs: Sequence[Run]) -> float:
    """Median time of some runs."""
    return statistics.median(run.seconds for run in runs)
