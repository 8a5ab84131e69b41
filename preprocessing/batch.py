"""A batch over slides, in waves: what is pending is done, what fails is noted, what crashes costs one slide.

Shared by every job that goes over slides; the job itself is a function from a wave of slides to their outcomes.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pandas as pd
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from cluster.attempts import attempts_mislead
from cluster.errors import ExitCode, JobError, UsageError
from cluster.lock import confirm_lock, output_lock
from cluster.progress import Progress, watch_tasks
from cluster.stage_names import told_of_stages
from preprocessing import ledger
from preprocessing.errors import LostPatchesError, WindowLargerThanSlideError, WorkerLostError
from preprocessing.inventory import SlideEntry
from preprocessing.isolation import acquit
from preprocessing.ledger import Outcome
from preprocessing.publish import SlideTable
from preprocessing.run_metrics import RunMeter, metered
from preprocessing.shard_file import output_error

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


def _nothing() -> None:
    """No step before or after."""


@dataclass(frozen=True)
class Batch:
    """How to go over the slides.

    Attributes:
        spark: the session.
        job: name in the ledger.
        table: where finished slides are published.
        recipe_id: what the ledger compares with earlier runs.
        wave: slides worked on together; a crash of the driver costs at most one wave.
        before, after: write what the output holds beside the table, before the first and after the last slide; only
            the job that has the lock gets there.
    """

    spark: SparkSession
    job: ledger.Job
    table: SlideTable
    recipe_id: str
    wave: int
    before: Callable[[], None] = _nothing
    after: Callable[[], None] = _nothing

    def run(self, entries: Sequence[SlideEntry], do_wave: DoWave) -> BatchSummary:
        """Do the slides that are new, changed, failed, or were done by another recipe.

        Args:
            entries: of the inventory.
            do_wave: does a wave and returns one outcome a slide, its good slides published.

        Returns:
            What was done; the ledger has a row for every slide of this run, and `metrics/` its figures.

        Raises:
            UsageError: another job works on the output, or the window is larger than every slide.
            JobError: Spark itself has stopped, the output cannot be written, or another job has taken over.
        """
        store = self.table.store
        application = f"histospark {self.job} ({self.spark.sparkContext.applicationId})"
        with (
            output_lock(store, self.table.run, application),
            _told_as_job_error(store.uri),
            metered(self.spark, self.job, store, self.table.run) as meter,
        ):
            self.before()
            try:
                summary, too_small = self._run(entries, do_wave, meter)
            finally:
                self.table.close()
            self.after()
        if len(too_small) == len(entries) and too_small:
            raise UsageError(f"{too_small[0].entry.slide_id}: {too_small[0].error}")
        return summary

    def _run(
        self, entries: Sequence[SlideEntry], do_wave: DoWave, meter: RunMeter
    ) -> tuple[BatchSummary, list[Outcome]]:
        """All waves; the summary, and the slides that are smaller than a window."""
        ledger.tidy(self.table.store)
        known = ledger.latest(self.table.store, self.job)
        last = self.table.clear_leftovers(known)
        todo = ledger.pending(entries, last, self.recipe_id)
        self._note_lost(known, last, {entry.slide_id for entry in todo})
        summary, too_small = BatchSummary(skipped=len(entries) - len(todo)), []
        meter.skipped = summary.skipped
        progress = Progress(self.job, len(todo), self.wave)
        try:
            for start in range(0, len(todo), self.wave):
                with watch_tasks(self.spark, progress.tasks), told_of_stages(progress):
                    outcomes = self._attempt(todo[start : start + self.wave], do_wave)
                self._commit(outcomes, known)
                meter.slides(outcomes)
                for outcome in outcomes:
                    summary.add(outcome)
                    progress.slide_done(outcome.patches)
                too_small += [o for o in outcomes if o.error_type == WindowLargerThanSlideError.__name__]
        finally:
            progress.close()
        return summary, too_small

    def _commit(self, outcomes: Sequence[Outcome], known: pd.DataFrame) -> None:
        """Table and ledger in step: first what is no longer in the table, then the rows, then the marks."""
        for outcome in outcomes:
            if outcome.status != "done":
                self.table.withdraw(outcome.entry.slide_id)
                self.table.discard(outcome.entry.slide_id)
        confirm_lock(self.table.store, self.table.run)
        ledger.append(self.table.store, self.job, outcomes, self.recipe_id, known)
        self.table.settle()

    def _note_lost(self, known: pd.DataFrame, last: pd.DataFrame, todo: set[str]) -> None:
        """The ledger does not go on promising the slides that a dead job has cost and that are not to be done now."""
        gone = known[~known["slide_id"].isin([*last["slide_id"], *todo])]
        names = ["slide_id", "path", "patient_id", "split", "fingerprint"]
        entries = [SlideEntry(**{str(name): row[name] for name in names}) for row in gone.to_dict("records")]
        reason = "its patches were lost when a job died; tile it again"
        lost = [Outcome(e, "failed", error_type=LostPatchesError.__name__, error=reason) for e in entries]
        if lost:
            ledger.append(self.table.store, self.job, lost, self.recipe_id, known)

    def _attempt(self, entries: Sequence[SlideEntry], do_wave: DoWave, again: bool = True) -> list[Outcome]:
        """Do a wave; if it breaks as a whole (a worker dies of one slide), do its halves, down to the culprit.

        One culprit in n slides costs about 2 log2(n) broken waves; it is tried once more alone and then given up.
        """
        started = time.time()
        try:
            outcomes = do_wave(entries)
        except (UsageError, JobError):
            raise
        except Exception as error:
            if _has_stopped(self.spark):
                raise JobError("Spark has stopped; see its log, then run again: finished slides are kept") from error
            if len(entries) == 1 and not again:
                return [ledger.failed_by(entries[0], self._readable(error))]
            log.warning("%s broke (%s); trying again in parts", _named(entries), type(error).__name__)
        else:
            return self._acquitted(outcomes, do_wave, started) if again else outcomes
        if len(entries) == 1:
            return self._attempt(entries, do_wave, again=False)
        middle = len(entries) // 2
        return self._attempt(entries[:middle], do_wave) + self._attempt(entries[middle:], do_wave)

    def _acquitted(self, outcomes: list[Outcome], do_wave: DoWave, since: float) -> list[Outcome]:
        """Slides that were given up once more, each alone, where the cluster and not they may have ended the attempts.

        Args:
            outcomes: of a wave.
            do_wave: as for `run`.
            since: when the wave began, Unix time.
        """
        given_up = [o for o in outcomes if o.error_type == WorkerLostError.__name__]
        why = attempts_mislead(self.spark, since) if given_up else ""
        if not why:
            return outcomes
        kept = [o for o in outcomes if o.error_type != WorkerLostError.__name__]
        for entry in (outcome.entry for outcome in given_up):
            log.warning("slide %s was given up, but %s; trying again", entry.slide_id, why)
            self.table.discard(entry.slide_id)
            acquit(entry.slide_id, self.table.staging)
            kept += self._attempt([entry], do_wave, again=False)
        return kept

    def _readable(self, error: Exception) -> Exception:
        """Spark's own errors are pages of Java; the ledger's trace keeps them, a person gets a line."""
        if isinstance(error, Py4JError | PySparkException):
            return WorkerLostError("its Spark task died twice (native crash, out of memory or hanging?); see its trace")
        return output_error(error, self.table.store.uri) if isinstance(error, OSError) else error


def _named(entries: Sequence[SlideEntry]) -> str:
    return f"slide {entries[0].slide_id}" if len(entries) == 1 else f"a wave of {len(entries)} slides"


def _has_stopped(spark: SparkSession) -> bool:
    try:
        return bool(spark.sparkContext._jsc.sc().isStopped())
    except (Py4JError, OSError, AttributeError):  # not even the JVM answers
        return True


@contextmanager
def _told_as_job_error(uri: str) -> Iterator[None]:
    """What the output refuses to the driver ends the job, in one line."""
    try:
        yield
    except OSError as error:
        raise JobError(f"{output_error(error, uri)} (what was committed stays)") from error
