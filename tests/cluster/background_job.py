"""A job of the command line on a cluster, in the background, and what Spark has noted of it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from tests.cluster.standalone import HOST, StandaloneCluster
from tests.conftest import ROOT

_SMALL: Final = {
    "spark.executor.cores": "1", "spark.cores.max": "2", "spark.executor.memory": "512m", "spark.ui.enabled": "false",
}  # fmt: skip
_HERE: Final = {
    "spark.driver.host": HOST, "spark.driver.bindAddress": HOST,
    "spark.authenticate": "false", "spark.network.crypto.enabled": "false",
    "spark.eventLog.compress": "false", "spark.eventLog.rolling.enabled": "false",
}  # fmt: skip


class BackgroundJob:
    """`histospark` with the settings of conf/spark/standalone.conf, without authentication: the cluster has no secret.

    Args:
        cluster: where it runs, on two executors of one core.
        folder: for its log and Spark's event log.
        arguments: of the command line, without the master.
        settings: of Spark, beside those of the file.

    Attributes:
        process: of the driver.
    """

    def __init__(
        self, cluster: StandaloneCluster, folder: Path, arguments: Sequence[object], settings: Mapping[str, str]
    ) -> None:
        self._log, self._events = folder / "job.log", folder / "events"
        self._events.mkdir()
        chosen = {**_SMALL, **_HERE, "spark.eventLog.dir": self._events.as_uri(), **settings}
        given = " ".join(f"--conf {name}={value}" for name, value in chosen.items())
        submit = f"--properties-file {ROOT / 'conf' / 'spark' / 'standalone.conf'} {given} pyspark-shell"
        command = [str(Path(sys.executable).with_name("histospark")), *map(str, arguments), "--master", cluster.master]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=ROOT,
                env={**os.environ, "PYSPARK_SUBMIT_ARGS": submit, "SPARK_LOCAL_IP": HOST},
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def said(self) -> str:
        """Everything so far."""
        return self._log.read_text()

    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def code(self) -> int:
        """Its exit code; waits for its end."""
        return self.process.wait()

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What Spark has noted: of one kind, e.g. `TaskEnd`; once the job has ended."""
        (log,) = self._events.iterdir()
        noted = [json.loads(line) for line in log.read_text().splitlines()]
        return [event for event in noted if event["Event"] == f"SparkListener{kind}"]
