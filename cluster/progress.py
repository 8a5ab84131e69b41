"""Progress of long work: a bar on a terminal, lines in a log."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from weakref import WeakKeyDictionary

from pyspark import Accumulator, SparkContext
from pyspark.sql import SparkSession
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from cluster.stage_names import Stage

_LOG_EVERY: Final = 30.0  # seconds between two lines in a log
_MOST_OF_A_WAVE: Final = 0.99  # a running wave is never shown as finished: Spark may not have told its next stage yet
_WIDE: Final = 110  # columns of a terminal that has room for the tasks of the wave, too,
_WIDEST: Final = 160  # and for the step that they are of

log = logging.getLogger("histospark")


class Progress:
    """Counts slides and patches of a job, and shows rate and time left.

    Work is counted in slides; the running wave counts by the share of its Spark tasks that are finished, so that a
    single big slide has a time left, too. The first wave tells how many tasks a slide makes in all; until then stages
    that are still to come are not known, and the time left is too short.

    Args:
        what: one word for the job.
        slides: how many are to be done.
        wave: slides worked on together.
        console: where the bar goes; lines are logged where it is no terminal.
        clock: gives seconds.
    """

    def __init__(
        self,
        what: str,
        slides: int,
        wave: int = 32,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.what = what
        self.slides = slides
        self.wave = wave
        self.done = 0
        self.patches = 0
        self._clock = clock
        self._start = self._last_slide = self._last_line = clock()
        self._tasks = (0, 0)
        self._running = 0  # patches of the running wave
        self._step = ""
        self._tasks_per_slide = 0.0
        self._in_wave = min(wave, slides)
        console = console or Console(file=sys.stderr)
        bar = BarColumn(None, complete_style="green", finished_style="green")
        columns = (TextColumn("{task.description}"), bar, TextColumn("{task.fields[told]}"))
        on_terminal = console.is_terminal and slides > 0
        self._bar = Bar(*columns, console=console, auto_refresh=False, expand=True) if on_terminal else None
        if self._bar:
            self._bar.add_task(what, total=slides, told="")
            self._bar.start()

    def slide_done(self, patches: int) -> None:
        """Note one more finished slide and its patches."""
        if self._tasks[1]:
            self._tasks_per_slide = self._tasks[1] / max(self._in_wave, 1)
        self._tasks, self._running, self._step = (0, 0), 0, ""
        self.done += 1
        self.patches += patches
        self._in_wave = min(self.wave, self.slides - self.done)
        self._last_slide = self._clock()
        self._show()

    def tasks(self, finished: int, total: int, patches: int = 0) -> None:
        """Note how many of its Spark tasks the running wave has finished, of those that are known.

        Args:
            finished, total: tasks.
            patches: that these tasks have written, if they count them (see `patch_counter`).
        """
        self._tasks, self._running = (finished, total), patches
        self._show()

    def began(self, stage: Stage) -> None:
        """Note what the running wave is at (a listener of `cluster.stage_names`)."""
        self._step = stage.name

    def ended(self, stage: Stage, seconds: float) -> None:
        """The next step follows at once, or the end of the wave."""

    def close(self) -> None:
        """End the bar, or log how it went."""
        if self._bar:
            self._show()
            self._bar.stop()
        elif self.slides:
            log.info("%s: %s, took %s", self.what, self._counts(), duration(self._clock() - self._start))

    def seconds_left(self) -> float | None:
        """Estimate for the rest of the work; None before anything is finished."""
        work = self._work()
        return (self._clock() - self._start) / work * (self.slides - work) if work else None

    def _work(self) -> float:
        """Slides done, with the finished share of the running wave."""
        finished, total = self._tasks
        expected = max(total, self._tasks_per_slide * self._in_wave)
        share = min(finished / expected, _MOST_OF_A_WAVE) if expected else 0.0
        return self.done + share * self._in_wave

    def _show(self) -> None:
        if self._bar:
            width = self._bar.console.width
            tasks = self._of_wave(width >= _WIDEST) if width >= _WIDE else ""
            told = f"{self._counts()}, {self._left()}{tasks}"
            self._bar.update(self._bar.task_ids[0], completed=self._work(), told=told)
            self._bar.refresh()
        elif self._clock() - self._last_line >= _LOG_EVERY:
            self._last_line = self._clock()
            log.info("%s: %s, %s", self.what, self._counts(), self._left() + self._of_wave())

    def _counts(self) -> str:
        patches = self.patches + self._running
        known_until = self._clock() if self._running else self._last_slide
        rate = patches / max(known_until - self._start, 1e-9)
        at_rate = f" ({rate:,.0f}/s)" if patches else ""
        return f"{self.done:,} of {self.slides:,} slides, {patches:,} patches{at_rate}"

    def _left(self) -> str:
        left = self.seconds_left()
        return "time left not known yet" if left is None else f"{duration(left)} left"

    def _of_wave(self, with_step: bool = True) -> str:
        finished, total = self._tasks
        step = f" ({self._step})" if with_step and self._step else ""
        return f", {finished:,} of {total:,} tasks of this wave{step}" if total else ""


def duration(seconds: float) -> str:
    """Seconds for people, in the two largest units that matter: `45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    whole = round(seconds)
    for unit, name, smaller, its_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit} {name} {rest} {its_name}" if rest else f"{whole // unit} {name}"
    return f"{whole} s"


_COUNTERS: Final[WeakKeyDictionary[SparkContext, Accumulator[int]]] = WeakKeyDictionary()


def patch_counter(spark: SparkSession) -> Accumulator[int]:
    """The session's count of written patches: tasks add to it, `watch_tasks` tells how far it went.

    Only good for showing progress: Spark counts a task that it runs twice twice.
    """
    context = spark.sparkContext
    if context not in _COUNTERS:
        _COUNTERS[context] = context.accumulator(0)
    return _COUNTERS[context]


@contextmanager
def watch_tasks(spark: SparkSession, tell: Callable[[int, int, int], None], every: float = 1.0) -> Iterator[None]:
    """While Spark works, tell how many tasks are finished, of all stages that have begun since.

    Args:
        spark: the session whose jobs are watched.
        tell: called with (finished, total, patches by `patch_counter`), all since the beginning, from a thread of its
            own, every time: also where nothing has changed.
        every: seconds between two looks.
    """
    tracker = spark.sparkContext.statusTracker()
    counter = patch_counter(spark)
    before = counter.value
    over = threading.Event()
    known: dict[int, tuple[int, int]] = {}

    def look() -> None:
        while not over.wait(every):
            active = tracker.getActiveStageIds()
            known.update({stage: (total, total) for stage, (_, total) in known.items() if stage not in active})
            for stage in active:
                if info := tracker.getStageInfo(stage):
                    known[stage] = (info.numCompletedTasks, info.numTasks)
            finished, total = (sum(counts) for counts in zip(*known.values(), strict=True)) if known else (0, 0)
            tell(finished, total, counter.value - before)

    watcher = threading.Thread(target=look, name="histospark-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
