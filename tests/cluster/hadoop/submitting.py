"""spark-submit to the YARN of the tests: settings for nodes that are this machine, and small."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from tests.cluster.hadoop.servers import Hadoop
from tests.cluster.hadoop.settings import HOST
from tests.cluster.standalone import SPARK_HOME

_LIGHT_JAVA: Final = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
SMALL: Final[Mapping[str, str]] = {
    "spark.yarn.jars": f"local:{SPARK_HOME}/jars/*",  # 400 MB that need not be uploaded
    "spark.executor.instances": "1",
    "spark.executor.memory": "512m",
    "spark.driver.memory": "512m",
    "spark.yarn.am.memory": "512m",
    "spark.driver.extraJavaOptions": _LIGHT_JAVA,
    "spark.yarn.am.extraJavaOptions": _LIGHT_JAVA,
    "spark.executor.extraJavaOptions": _LIGHT_JAVA,
    "spark.yarn.scheduler.heartbeat.interval-ms": "500",
    "spark.executorEnv.SPARK_LOCAL_IP": HOST,
    "spark.yarn.appMasterEnv.SPARK_LOCAL_IP": HOST,
    "spark.ui.enabled": "false",
}


def spark_submit(hadoop: Hadoop, *words: object, settings: Mapping[str, str] = SMALL) -> "subprocess.Popen[str]":
    """Start a job with this Python on the nodes; standard error, with Spark's log, comes with its output.

    Args:
        hadoop: where it runs.
        words: options of spark-submit, the program, its arguments.
        settings: of Spark.
    """
    options = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    python = {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": HOST}
    return subprocess.Popen(
        [str(SPARK_HOME / "bin" / "spark-submit"), "--master", "yarn", *options, *map(str, words)],
        env=os.environ | hadoop.environment | python, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def ended(job: "subprocess.Popen[str]") -> tuple[int, str]:
    """Wait for a job: its exit code, and all it said."""
    said = job.communicate()[0]
    return job.returncode, said


def application(said: str) -> str:
    """The id that YARN gave a job."""
    found = re.search(r"Submitted application (application_\d+_\d+)", said)
    if found is None:
        raise ValueError(f"YARN did not take the job: {said[-3000:]}")
    return found[1]


def containers(hadoop: Hadoop, job: str) -> list[set[str]]:
    """Names of the containers that each node has for a running application; `…_000001` is the application's master."""
    places = [hadoop.node_folder(number) / "logs" / job for number in range(len(hadoop.nodes))]
    return [{folder.name for folder in place.glob("container_*")} for place in places]
