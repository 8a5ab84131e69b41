"""Attempts at a task that were cut short by the cluster, not by the task: Spark's number of the attempt counts both."""

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from cluster.stage_figures import await_figures


def attempts_mislead(spark: SparkSession, since: float) -> str:
    """Why tasks may have been attempted oftener than they ended their worker.

    Args:
        spark: the session.
        since: Unix time, seconds, by the clock of this machine.

    Returns:
        For a person; empty where nothing but the task itself can have ended its attempts, or Spark does not say.
    """
    try:
        lost = _lost_executors(spark, since)
        copied = spark.sparkContext.getConf().get("spark.speculation") == "true"
    except (Py4JError, OSError, AttributeError):
        return ""
    return lost or ("copies of slow tasks count as attempts" if copied else "")


def _lost_executors(spark: SparkSession, since: float) -> str:
    """One that was killed for its memory does not count: the task did that, and YARN ends a job that loses too many."""
    await_figures(spark)
    executors = spark.sparkContext._jsc.sc().statusStore().executorList(False)  # the last hundred that went, too
    for number in range(executors.size()):
        executor = executors.apply(number)
        if executor.removeTime().isDefined() and executor.removeTime().get().getTime() / 1000 >= since:
            reason = executor.removeReason().get() if executor.removeReason().isDefined() else "no reason given"
            if "memory" not in reason:
                return f"executor {executor.id()} was lost ({reason})"
    return ""
