"""Figures of one run of a job: what it did, how long each of its steps took, and how much passed through it."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from pydantic import BaseModel, ConfigDict
from pyspark.sql import SparkSession

from cluster.our_version import our_version
from cluster.stage_figures import StageFigures, await_figures, peak_python_bytes, stage_figures
from cluster.stage_names import Stage, told_of_stages
from cluster.storage import Store
from preprocessing.ledger import Job, Outcome
from preprocessing.shard_file import output_error

METRICS: Final = "metrics"
"""Folder of the output with a file a run."""

_COUNTED: Final = ("done", "empty", "failed", "patches", "positives", "source_bytes", "written_bytes")

log = logging.getLogger("histospark")


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StepMetrics(_Told):
    """A step of the job, over all waves.

    Attributes:
        step: `prepare`, `survey`, `draw`, `extract`, `tile`, `probe`, `judge`, `heatmaps`.
        times: how often it was done: once a wave, more often where a wave broke.
        seconds: by the clock.
        task_seconds: of Spark's tasks, all cores together; null where Spark did not tell.
        tasks, failed_tasks: that ended well, and attempts that did not; null where Spark did not tell.
    """

    step: str
    times: int
    seconds: float
    task_seconds: float | None
    tasks: int | None
    failed_tasks: int | None


class RunMetrics(_Told):
    """One run; the file is this as JSON, field by field.

    Attributes:
        histospark: version; null where our code came without its package, e.g. by `spark-submit --py-files`.
        job: which.
        run: unique name.
        application_id, master, spark: of Spark, as the Spark UI and the history server call them; its version.
        started, ended: UTC.
        seconds: between them; the start of Spark and the inventory are not in it.
        error: why the run ended early, in a line; null where it came to its end.
        done, empty, failed: slides of this run.
        skipped: slides that were done before.
        patches, positives: rows of this run, as in the ledger.
        source_bytes: size of the files of the slides that opened; what the recipe does not ask for was not read.
        written_bytes: of the finished slides, as they lie in the table.
        steps: in the order in which they began.
        peak_python_bytes: most resident memory of the Python processes of an executor together, as seen at its
            heartbeats; null where `spark.executor.processTreeMetrics.enabled` is off.
    """

    histospark: str | None
    job: Job
    run: str
    application_id: str
    master: str
    spark: str
    started: datetime
    ended: datetime
    seconds: float
    error: str | None
    done: int
    empty: int
    failed: int
    skipped: int
    patches: int
    positives: int
    source_bytes: int
    written_bytes: int
    steps: tuple[StepMetrics, ...]
    peak_python_bytes: int | None

    @property
    def file(self) -> str:
        """Below the output; names sort by the start."""
        return f"{METRICS}/{self.started:%Y%m%dT%H%M%SZ}-{self.run}.json"


@dataclass
class _Step:
    times: int = 0
    seconds: float = 0.0
    figures: StageFigures | None = field(default_factory=StageFigures)

    def add(self, more: StageFigures | None) -> None:
        mine = self.figures
        self.figures = None if mine is None or more is None else StageFigures(
            mine.tasks + more.tasks, mine.failed_tasks + more.failed_tasks, mine.task_seconds + more.task_seconds
        )  # fmt: skip


class RunMeter:
    """Collects the figures of a run; a listener of stages (see `cluster.stage_names`).

    Args:
        spark: the session.
        job: which.
        run: unique name of the run.
    """

    def __init__(self, spark: SparkSession, job: Job, run: str) -> None:
        context = spark.sparkContext
        self._spark = spark
        self._job, self._run = job, run
        self._known = (str(context.applicationId), str(context.master), str(context.version))
        self._started, self._clock = datetime.now(UTC), time.monotonic()
        self._steps: dict[str, _Step] = {}
        self._unread: list[Stage] = []
        self._counts = dict.fromkeys(_COUNTED, 0)
        self.skipped = 0

    def began(self, stage: Stage) -> None:
        """A step of a wave begins."""
        self._steps.setdefault(stage.step, _Step()).times += 1

    def ended(self, stage: Stage, seconds: float) -> None:
        """It ends; by now Spark knows all of the one before."""
        self._steps[stage.step].seconds += seconds
        self._read()
        self._unread.append(stage)

    def slides(self, outcomes: Sequence[Outcome]) -> None:
        """Count slides whose outcome is in the ledger; asks no store, as that would be a request or two a slide."""
        for outcome in outcomes:
            self._counts[outcome.status] += 1
            self._counts["patches"] += outcome.patches
            self._counts["positives"] += outcome.positives
            self._counts["source_bytes"] += 0 if outcome.facts is None else outcome.entry.file_bytes
            self._counts["written_bytes"] += outcome.written_bytes

    def metrics(self, error: str | None) -> RunMetrics:
        """All that was collected until now.

        Args:
            error: why the run ends early; None where it does not.
        """
        await_figures(self._spark)
        self._read()
        application, master, spark = self._known
        return RunMetrics(
            histospark=our_version(),
            job=self._job,
            run=self._run,
            application_id=application,
            master=master,
            spark=spark,
            started=self._started,
            ended=datetime.now(UTC),
            seconds=_rounded(time.monotonic() - self._clock),
            error=error,
            skipped=self.skipped,
            steps=tuple(_told(name, step) for name, step in self._steps.items()),
            peak_python_bytes=peak_python_bytes(self._spark),
            **self._counts,
        )

    def _read(self) -> None:
        for stage in self._unread:
            self._steps[stage.step].add(stage_figures(self._spark, stage))
        self._unread.clear()


@contextmanager
def metered(spark: SparkSession, job: Job, store: Store, run: str) -> Iterator[RunMeter]:
    """Collect the figures of the run within the block, and write them at its end, however it ends.

    Args:
        spark: the session.
        job: which.
        store: the output folder; `metrics/` in it gets a file. Where it refuses, that is logged: the table is written.
        run: unique name of the run.
    """
    meter, error = RunMeter(spark, job, run), None
    try:
        with told_of_stages(meter):
            yield meter
    except BaseException as raised:
        error = " ".join((str(raised).strip() or type(raised).__name__).splitlines()[0].split())
        raise
    finally:
        told = meter.metrics(error)
        try:
            store.write_bytes(told.model_dump_json(indent=2).encode(), told.file)
        except OSError as refused:
            log.warning("the figures of this run were not kept: %s", output_error(refused, store.uri))


def _told(name: str, step: _Step) -> StepMetrics:
    figures = step.figures
    return StepMetrics(
        step=name,
        times=step.times,
        seconds=_rounded(step.seconds),
        task_seconds=None if figures is None else _rounded(figures.task_seconds),
        tasks=None if figures is None else figures.tasks,
        failed_tasks=None if figures is None else figures.failed_tasks,
    )


def _rounded(seconds: float) -> float:
    return round(seconds, 3)
