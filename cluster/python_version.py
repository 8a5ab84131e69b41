"""Whether the executors have the Python that the driver needs them to have, asked before the work starts."""

import re
import sys
from typing import Final

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from cluster.errors import UsageError

_OTHER_VERSION: Final = re.compile(r"different version: ['\"]?(\d+\.\d+)|different version (\d+\.\d+) than")
_NO_WORKER: Final = re.compile(r"Error from python worker:\n(?:.*\n)*? *(\S.*)\nPYTHONPATH was:")
_NO_PROGRAM: Final = re.compile(r'Cannot run program "([^"]+)"')
_REMEDY: Final = "`histospark submit` sends this Python along, or set spark.pyspark.python to one like it"


def refuse_other_python(spark: SparkSession) -> None:
    """Run one tiny task, so that a Python which does not fit is told in one line instead of by every task's failure.

    A worker process of Spark is started by it, which the first real task then uses. Does nothing on a local master,
    whose workers run this very Python.

    Args:
        spark: the session.

    Raises:
        UsageError: the executors have no Python, or another one than the driver.
        PySparkException, Py4JError: the task failed for a reason of another kind.
    """
    context = spark.sparkContext
    if re.match(r"local(\[|$)", context.master or ""):
        return
    try:
        context.parallelize([0], 1).map(_nothing).collect()
    except (PySparkException, Py4JError) as error:
        cause = cause_in(str(error))
        if cause is None:
            raise
        raise UsageError(f"{cause}: {_REMEDY}") from error


def cause_in(message: str) -> str | None:
    """What a failed task says about its Python, in a few words; None where it says nothing of it."""
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    if found := _OTHER_VERSION.search(message):
        return f"the executors run Python {found[1] or found[2]}, the driver Python {ours}"
    if found := _NO_PROGRAM.search(message):
        return f"the executors have no Python at {found[1]}"
    if found := _NO_WORKER.search(message):
        return f"the executors' Python cannot run Spark's worker ({found[1]})"
    return None


def _nothing(given: int) -> int:
    return given
