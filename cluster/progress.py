"""Progress of long work: a bar on a terminal, lines in a log."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession
from tqdm import tqdm

_LOG_EVERY = 30.0  # seconds between two lines in a log

log = logging.getLogger("histospark")


class Progress:
    """Counts slides and patches of a job, and shows rate and time left.

    Args:
        what: one word for the job.
        slides: how many are to be done.
    """

    def __init__(self, what: str, slides: int) -> None:
        self.what = what
        self.slides = slides
        self.done = 0
        self.patches = 0
        self._start = time.monotonic()
        self._last_line = self._start
        self._bar = tqdm(total=slides, desc=what, unit="slide", disable=not sys.stderr.isatty())

    def slide_done(self, patches: int) -> None:
        """Note one more finished slide and its patches."""
        self.done += 1
        self.patches += patches
        self._bar.update(1)
        self._bar.set_postfix_str(f"{self._rate():.0f} patches/s")
        if time.monotonic() - self._last_line > _LOG_EVERY or self.done == self.slides:
            self._line()

    def tasks(self, finished: int, total: int) -> None:
        """Note how far the running Spark job is, so that a single big slide shows progress, too."""
        self._bar.set_postfix_str(f"tasks {finished}/{total}")
        if time.monotonic() - self._last_line > _LOG_EVERY:
            self._line(f", tasks {finished}/{total} of this wave")

    def close(self) -> None:
        """End the bar."""
        self._bar.close()

    def _rate(self) -> float:
        return self.patches / max(time.monotonic() - self._start, 1e-9)

    def _line(self, more: str = "") -> None:
        self._last_line = time.monotonic()
        if not self._bar.disable:
            return
        left = (self._last_line - self._start) / max(self.done, 1) * (self.slides - self.done)
        eta = f"{left:.0f} s left" if self.done else "time left not known yet"
        log.info(
            "%s: %d of %d slides, %d patches, %.0f patches/s, %s%s",
            self.what, self.done, self.slides, self.patches, self._rate(), eta, more,
        )  # fmt: skip


@contextmanager
def watch_tasks(spark: SparkSession, tell: Callable[[int, int], None], every: float = 1.0) -> Iterator[None]:
    """While Spark works, tell how many tasks of the active stages are finished.

    Args:
        spark: the session whose jobs are watched.
        tell: called with (finished, total) from a thread of its own.
        every: seconds between two looks.
    """
    tracker = spark.sparkContext.statusTracker()
    over = threading.Event()

    def look() -> None:
        while not over.wait(every):
            stages = [info for stage in tracker.getActiveStageIds() if (info := tracker.getStageInfo(stage))]
            if stages:
                tell(sum(stage.numCompletedTasks for stage in stages), sum(stage.numTasks for stage in stages))

    watcher = threading.Thread(target=look, name="histospark-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
