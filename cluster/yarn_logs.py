"""The logs that YARN kept of a job's driver, read by the YARN client in Spark's jars.

The program behind `yarn logs` is in these jars, too, but not all it needs; a gateway without Hadoop's own tools has
no other way.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from py4j.protocol import Py4JError

_ASKED: Final = 4  # times: YARN collects logs after the end
_BETWEEN: Final = 3.0  # seconds
_WAITED_FOR: Final = 10_000  # milliseconds for an answer; by default YARN's client tries for a quarter of an hour


def driver_logs(application: str) -> str | None:
    """What the driver of an application has written, in the form of `yarn logs`.

    Starts a Java for it, which takes 3 s, with the Hadoop settings of this process (`HADOOP_CONF_DIR`).

    Args:
        application: its id.

    Returns:
        All logs of the last attempt's container; None where YARN has none, or not within a while.
    """
    from pyspark.java_gateway import launch_gateway  # noqa: PLC0415 - only a driver on a node is asked for

    gateway = launch_gateway()  # type: ignore[no-untyped-call]
    try:
        for attempt in range(_ASKED):
            time.sleep(_BETWEEN if attempt else 0)
            if text := _fetched(gateway.jvm, application):
                return text
    except Py4JError:  # YARN does not answer, or lets this user read nothing: the caller says how to ask for it
        return None
    finally:
        gateway.shutdown()
        gateway.proc.stdin.close()  # which ends that Java
        gateway.proc.wait()
    return None


def _fetched(jvm: Any, application: str) -> str:
    yarn, hadoop = jvm.org.apache.hadoop.yarn, jvm.org.apache.hadoop
    settings = yarn.conf.YarnConfiguration()
    settings.setLong("yarn.resourcemanager.connect.max-wait.ms", _WAITED_FOR)
    settings.setLong("yarn.resourcemanager.connect.retry-interval.ms", _WAITED_FOR // 2)
    settings.setInt("ipc.client.connect.max.retries", 1)
    number = yarn.api.records.ApplicationId.fromString(application)
    client = yarn.client.api.YarnClient.createYarnClient()
    client.init(settings)
    client.start()
    try:
        attempts = client.getApplicationAttempts(number)
        containers = [str(attempt.getAMContainerId()) for attempt in attempts]
    finally:
        client.stop()
    request = yarn.logaggregation.ContainerLogsRequest()
    request.setAppId(number)
    request.setAppOwner(hadoop.security.UserGroupInformation.getCurrentUser().getShortUserName())
    wanted = jvm.java.util.HashSet()
    for name in ("stdout", "stderr"):
        wanted.add(name)
    request.setLogTypes(wanted)
    request.setAppFinished(True)
    request.setBytes(jvm.java.lang.Long.MAX_VALUE)
    helper = yarn.logaggregation.LogCLIHelpers()
    helper.setConf(settings)
    with tempfile.TemporaryDirectory() as folder:
        request.setOutputLocalDir(folder)
        for container in containers[-1:]:
            request.setContainerId(container)
            helper.dumpAContainerLogsForLogTypeWithoutNodeId(request)
        return "".join(_texts(Path(folder)))


def _texts(folder: Path) -> Iterator[str]:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield file.read_text(encoding="utf-8", errors="replace")


def output_lines(logs: str, name: str) -> Iterator[str]:
    """The lines of one of the logs, without its head and tail.

    Args:
        logs: in the form of `yarn logs`.
        name: `stdout` or `stderr`.
    """
    mine = inside = False
    for line in logs.splitlines():
        if line.startswith("LogType:"):
            mine = line.removeprefix("LogType:").strip() == name
        elif line.startswith(("LogContents:", "Log Contents:")):
            inside = mine
        elif line.startswith("End of LogType:"):
            inside = False
        elif inside:
            yield line
