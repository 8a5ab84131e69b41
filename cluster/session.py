"""The Spark session of a job, whoever starts it: our command, or spark-submit."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark import SparkContext
from pyspark.sql import SparkSession

from cluster.errors import JobError
from cluster.java import ensure_java
from cluster.python_version import refuse_other_python

_LOG_SETTINGS = Path(__file__).with_name("log4j2.properties")
# Java does nothing but hand out tasks, on the same cores as the work: compiling its own code well, which is meant for
# long computations, takes more time than it ever gains, half a second of the first slide and a tenth of the next.
_LIGHT_JAVA = "-XX:+IgnoreUnrecognizedVMOptions -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


@contextmanager
def spark_session(name: str, master: str | None = None) -> Iterator[SparkSession]:
    """Open a session and close it at the end.

    Under spark-submit the cluster and its settings come from there; else Spark starts on `master`.

    Args:
        name: of the application, for the Spark UI.
        master: a Spark master; None leaves it to spark-submit, else takes all local cores.

    Raises:
        UsageError: the executors have another Python than this one.
        JobError: Spark does not start.
    """
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    builder = SparkSession.builder.appName(f"histospark {name}")
    if not submitted:
        ensure_java()
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        master = master or "local[*]"
        builder = builder.config("spark.ui.showConsoleProgress", "false")
        java = f"-Dlog4j2.configurationFile={_LOG_SETTINGS}"
        if master.startswith("local"):
            java = f"{java} {_LIGHT_JAVA}"
        builder = builder.config("spark.driver.extraJavaOptions", java)
    if master:
        # A task whose worker dies is tried three times, locally as on a cluster; see `preprocessing.isolation`.
        master = re.sub(r"^local\[([\d*]+)\]$", r"local[\1,3]", master)
        builder = builder.master(master)
        if master.startswith("local"):
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
            # Nobody watches the UI of a local run, and its workers are on this machine.
            builder = builder.config("spark.ui.enabled", "false").config("spark.driver.bindAddress", "127.0.0.1")
            builder = builder.config("spark.driver.host", "127.0.0.1")
    try:
        spark = builder.getOrCreate()
    except Py4JJavaError as error:
        raise JobError(f"Spark did not start: {_cause(error)} (docs/cluster.md knows some causes)") from error
    try:
        refuse_other_python(spark)
        yield spark
    finally:
        spark.stop()


def session_for_yarn() -> None:
    """Open and close a session for a driver on a node of YARN that ended well and never needed one.

    To YARN such a driver has failed, whatever its exit code. No executor is asked for; elsewhere nothing is done.
    """
    on_a_node = "PYSPARK_GATEWAY_PORT" in os.environ and "CONTAINER_ID" in os.environ
    if on_a_node and SparkContext._gateway is None:
        builder = SparkSession.builder.config("spark.dynamicAllocation.enabled", "false")
        builder.config("spark.executor.instances", "0").getOrCreate().stop()


def _cause(error: Py4JJavaError) -> str:
    """What Java says at the bottom of it, in one line."""
    cause = error.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    return " ".join(str(cause.getMessage() or cause.toString()).split())
