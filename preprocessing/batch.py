"""A batch over slides, in waves: what is pending is done, what fails is noted, what crashes costs one slide.

Shared by every job that goes over slides; the job itself is a function from a wave of slides to their outcomes.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from cluster.errors import ExitCode, JobError, UsageError
from cluster.progress import Progress, watch_tasks
from preprocessing import ledger
from preprocessing.errors import WindowLargerThanSlideError, WorkerLostError
from preprocessing.inventory import SlideEntry
from preprocessing.ledger import Outcome
from preprocessing.publish import SlideTable

log = logging.getLogger("histospark")

DoWave = Callable[[Sequence[SlideEntry]], list[Outcome]]


@dataclass
class BatchSummary:
    """What a batch has done.

    Attributes:
        skipped: slides that were done before and not opened.
        done, empty, failed: slides of this run.
        patches, positives: rows of this run.
        faults: `slide_id: reason`, of the failed slides; kept to the first 100.
    """

    skipped: int = 0
    done: int = 0
    empty: int = 0
    failed: int = 0
    patches: int = 0
    positives: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        """3 where some slides failed."""
        return ExitCode.SOME_SLIDES_FAILED if self.failed else ExitCode.GOOD

    def add(self, outcome: Outcome) -> None:
        """Count one slide."""
        setattr(self, outcome.status, getattr(self, outcome.status) + 1)
        self.patches += outcome.patches
        self.positives += outcome.positives
        if outcome.status == "failed" and len(self.faults) < 100:
            self.faults.append(f"{outcome.entry.slide_id}: {outcome.error_type}: {outcome.error}")


@dataclass(frozen=True)
class Batch:
    """How to go over the slides.

    Attributes:
        spark: the session.
        job: name in the ledger.
        table: where finished slides are published.
        recipe_id: what the ledger compares with earlier runs.
        wave: slides worked on together; a crash of the driver costs at most one wave.
    """

    spark: SparkSession
    job: ledger.Job
    table: SlideTable
    recipe_id: str
    wave: int

    def run(self, entries: Sequence[SlideEntry], do_wave: DoWave) -> BatchSummary:
        """Do the slides that are new, changed, failed, or were done by another recipe.

        Args:
            entries: of the inventory.
            do_wave: does a wave and returns one outcome a slide, its good slides published.

        Returns:
            What was done; the ledger has a row for every slide of this run.

        Raises:
            UsageError: the window is larger than every slide.
            JobError: Spark itself has stopped.
        """
        store = self.table.store
        last = self.table.clear_leftovers(ledger.latest(store, self.job))
        todo = ledger.pending(entries, last, self.recipe_id)
        summary = BatchSummary(skipped=len(entries) - len(todo))
        too_small = []
        progress = Progress(self.job, len(todo))
        try:
            for start in range(0, len(todo), self.wave):
                with watch_tasks(self.spark, progress.tasks):
                    outcomes = self._attempt(todo[start : start + self.wave], do_wave)
                for outcome in outcomes:
                    if outcome.status != "done":
                        self.table.withdraw(outcome.entry.slide_id)
                ledger.append(store, self.job, outcomes, self.recipe_id, last)
                for outcome in outcomes:
                    summary.add(outcome)
                    progress.slide_done(outcome.patches)
                too_small += [o for o in outcomes if o.error_type == WindowLargerThanSlideError.__name__]
        finally:
            progress.close()
            self.table.close()
        if too_small and len(too_small) == len(entries):
            raise UsageError(f"{too_small[0].entry.slide_id}: {too_small[0].error}")
        return summary

    def _attempt(self, entries: Sequence[SlideEntry], do_wave: DoWave) -> list[Outcome]:
        """Do a wave; if it breaks as a whole (a worker that dies of one slide), do its slides one by one."""
        try:
            return do_wave(entries)
        except (UsageError, JobError):
            raise
        except Exception as error:
            if self.spark.sparkContext._jsc.sc().isStopped():
                raise JobError("Spark has stopped; see its log, then run again: finished slides are kept") from error
            if len(entries) == 1:
                return [ledger.failed_by(entries[0], _readable(error))]
            log.warning("a wave of %d slides broke (%s); its slides go one by one", len(entries), type(error).__name__)
            return [outcome for entry in entries for outcome in self._attempt([entry], do_wave)]


def _readable(error: Exception) -> Exception:
    """Spark's own errors are pages of Java; the ledger's trace keeps them, a person gets a line."""
    if isinstance(error, Py4JError | PySparkException):
        return WorkerLostError("its Spark task died (native crash or out of memory?); the trace in the ledger tells")
    return error
