"""What Spark has counted of the work that it did: tasks of a step, memory of its Python workers."""

from dataclasses import dataclass
from typing import Final

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from cluster.stage_names import Stage

_UNANSWERED: Final = (Py4JError, OSError, AttributeError)
"""Spark has stopped, or is of a kind that keeps no such figures: they stay unknown, and the job goes on."""
_PATIENCE: Final = 2000  # milliseconds for the events that are still on their way


@dataclass(frozen=True)
class StageFigures:
    """Of the Spark jobs of a step.

    Attributes:
        tasks: that ended well.
        failed_tasks: attempts that did not; most were repeated with success.
        task_seconds: run time of all attempts, all cores together.
    """

    tasks: int = 0
    failed_tasks: int = 0
    task_seconds: float = 0.0


def stage_figures(spark: SparkSession, stage: Stage) -> StageFigures | None:
    """Ask Spark's status store, which keeps the last thousand jobs and knows of a job a moment after its end.

    Costs about 5 ms a Spark job of the step.

    Args:
        spark: the session.
        stage: that has ended.

    Returns:
        None where Spark does not say.
    """
    try:
        tracker = spark.sparkContext.statusTracker()
        store = spark.sparkContext._jsc.sc().statusStore()
        infos = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(stage.group)]
        stages = [store.lastStageAttempt(number) for info in infos if info is not None for number in info.stageIds]
        return StageFigures(
            sum(int(each.numCompleteTasks()) for each in stages),
            sum(int(each.numFailedTasks()) for each in stages),
            sum(int(each.executorRunTime()) for each in stages) / 1000,
        )
    except _UNANSWERED:
        return None


def await_figures(spark: SparkSession) -> None:
    """Wait, at most two seconds, until `stage_figures` knows all that has ended by now."""
    try:
        spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty(_PATIENCE)
    except _UNANSWERED:
        return


def peak_python_bytes(spark: SparkSession) -> int | None:
    """Most memory that all Python processes of one executor had at a time, of the executor where it was highest.

    Resident size, so that what forked workers share counts once for each of them.

    Returns:
        None where Spark does not measure it: that takes `spark.executor.processTreeMetrics.enabled`.
    """
    try:
        executors = spark.sparkContext._jsc.sc().statusStore().executorList(False)
        peaks = [executors.apply(number).peakMemoryMetrics() for number in range(executors.size())]
        bytes_ = [int(peak.get().getMetricValue("ProcessTreePythonRSSMemory")) for peak in peaks if peak.isDefined()]
    except _UNANSWERED:
        return None
    return max(bytes_, default=0) or None
