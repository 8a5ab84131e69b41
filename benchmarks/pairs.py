"""Timing in turn: all ways after each other, round after round, so that a machine that slows down slows them all.

Ratios are made round by round, of runs that were neighbors in time; told is the median with the lowest and the highest.
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
        cpu: processor time of all its processes, seconds; hardly moves where others use the machine, too.
    """

    seconds: float
    tiles: int = 0
    cpu: float = 0.0


@dataclass(frozen=True)
class Spread:
    """A figure over several rounds: the median, the lowest and the highest."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of one value a round."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        digits = 0 if self.middle >= 100 else 2
        return f"{self.middle:,.{digits}f} ({self.low:,.{digits}f} to {self.high:,.{digits}f})"


@dataclass(frozen=True)
class Way:
    """What was measured of one way.

    Attributes:
        runs: round by round, all with the same number of tiles.
        fixed: what a job takes however little it has to do; its times are taken off every run.
    """

    runs: Sequence[Run]
    fixed: Run = Run(0.0)

    @property
    def tiles(self) -> int:
        """Tiles of one run.

        Raises:
            ValueError: they differ.
        """
        counts = {run.tiles for run in self.runs}
        if len(counts) != 1:
            raise ValueError(f"the same work gave different numbers of tiles: {sorted(counts)}")
        return counts.pop()

    @property
    def rates(self) -> list[float]:
        """Tiles per second, round by round.

        Raises:
            ValueError: a run was no longer than its fixed part, so that nothing can be said.
        """
        shortest = min(run.seconds for run in self.runs)
        fixed = self.fixed.seconds
        if shortest <= fixed:
            raise ValueError(f"a run took {shortest:.2f} s, no more than its fixed part of {fixed:.2f} s")
        return [self.tiles / (run.seconds - fixed) for run in self.runs]

    @property
    def rate(self) -> Spread:
        """Tiles per second over the rounds."""
        return Spread.of(self.rates)

    @property
    def per_cpu_second(self) -> Spread:
        """Tiles per second of processor time, over the rounds."""
        return Spread.of([self.tiles / max(run.cpu - self.fixed.cpu, 1e-9) for run in self.runs])

    def __str__(self) -> str:
        return (
            f"{self.rate} tiles/s; {self.per_cpu_second} per CPU second; {self.tiles} tiles; "
            f"{self.fixed.seconds:.2f} s a job taken off"
        )


def ratio(ours: Way, other: Way) -> Spread:
    """How many times as many tiles per second ours makes, round by round."""
    return Spread.of([a / b for a, b in zip(ours.rates, other.rates, strict=True)])


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
        for name in list(ways) if number % 2 == 0 else reversed(list(ways)):
            runs[name].append(ways[name]())
    return runs


def measured(runs: Mapping[str, Sequence[Run]], name: str, tiny: str = "") -> Way:
    """What `in_turn` measured of a way.

    Args:
        runs: of `in_turn`.
        name: of the way.
        tiny: name of the same way with next to nothing to do, whose median is the fixed part; none where empty.
    """
    if not tiny:
        return Way(runs[name])
    seconds, cpu = (statistics.median(getattr(run, what) for run in runs[tiny]) for what in ("seconds", "cpu"))
    return Way(runs[name], Run(seconds, cpu=cpu))
