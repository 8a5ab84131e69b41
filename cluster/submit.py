"""The command line of spark-submit for a job whose Python comes along.

Where the driver runs decides the rest. In client mode it runs here, with this Python, and reads files where they lie;
in cluster mode it runs on a node, with the Python that was sent, in a folder that holds the files that were sent.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cluster.errors import UsageError
from cluster.worker import HANGS_AFTER_VARIABLE

DeployMode = Literal["client", "cluster"]

UNPACKED: Final = "environment"
"""Folder in which executors find the unpacked archive, below the one they start in."""
PYTHON: Final = f"./{UNPACKED}/bin/python"
_HANDED_ON: Final = (HANGS_AFTER_VARIABLE,)


@dataclass(frozen=True)
class Target:
    """Where a job is to run.

    Attributes:
        master: `yarn` or `spark://HOST:PORT`.
        deploy_mode: where the driver runs.
        settings: Spark's, each `key=value`; they win over ours.
        properties_file: of Spark settings; None takes the `spark-defaults.conf` of the Spark that submits.
        queue: of YARN.

    Raises:
        UsageError: no such cluster, or what it does not do.
    """

    master: str
    deploy_mode: DeployMode = "client"
    settings: tuple[str, ...] = ()
    properties_file: Path | None = None
    queue: str | None = None

    def __post_init__(self) -> None:
        is_standalone = self.master.startswith("spark://")
        if not is_standalone and self.master != "yarn":
            raise UsageError(f"--master {self.master}: name yarn or spark://HOST:PORT (histospark JOB runs here)")
        if is_standalone and self.deploy_mode == "cluster":
            raise UsageError("a standalone master takes no Python driver: leave out --deploy-mode cluster")
        if is_standalone and self.queue:
            raise UsageError(f"--queue {self.queue}: queues are YARN's; leave it out")
        for setting in self.settings:
            if not setting.partition("=")[0].startswith("spark.") or "=" not in setting:
                raise UsageError(f"--spark-conf {setting}: write it as spark.KEY=VALUE, e.g. spark.executor.cores=2")

    @property
    def driver_is_here(self) -> bool:
        """Client mode."""
        return self.deploy_mode == "client"


@dataclass(frozen=True)
class Shipment:
    """What goes to the cluster.

    Attributes:
        environment: the archive of Python and libraries.
        code: the zip of our packages.
        main: the job's module, a file.
        files: to lie in the folder where a driver on a node starts.
    """

    environment: Path
    code: Path
    main: Path
    files: tuple[Path, ...] = ()


def spark_submit_command(
    program: Path, target: Target, shipment: Shipment, name: str, arguments: Sequence[str]
) -> list[str]:
    """The whole command line.

    Args:
        program: `spark-submit`.
        target: where the job runs.
        shipment: what goes along.
        name: of the application.
        arguments: of the job.
    """
    words = [str(program), "--master", target.master, "--deploy-mode", target.deploy_mode, "--name", name]
    if target.properties_file is not None:
        words += ["--properties-file", str(target.properties_file)]
    if target.queue:
        words += ["--queue", target.queue]
    words += ["--archives", f"{shipment.environment}#{UNPACKED}", "--py-files", str(shipment.code)]
    if shipment.files:
        words += ["--files", ",".join(map(str, shipment.files))]
    for key, value in own_settings(target, os.environ).items():
        words += ["--conf", f"{key}={value}"]
    for setting in target.settings:  # of two, Spark takes the last
        words += ["--conf", setting]
    return [*words, str(shipment.main), *arguments]


def own_settings(target: Target, environment: Mapping[str, str]) -> dict[str, str]:
    """The Spark settings that a packed Python needs.

    Args:
        target: where the job runs.
        environment: of this process; the variables that concern workers are handed on.
    """
    settings = {"spark.pyspark.python": PYTHON, "spark.executorEnv.TF_CPP_MIN_LOG_LEVEL": "2"}
    handed_on = {name: environment[name] for name in _HANDED_ON if name in environment}
    settings |= {f"spark.executorEnv.{name}": value for name, value in handed_on.items()}
    if target.driver_is_here:
        return settings | {"spark.pyspark.driver.python": sys.executable}
    settings |= {f"spark.yarn.appMasterEnv.{name}": value for name, value in handed_on.items()}
    return settings | {
        "spark.pyspark.driver.python": PYTHON,
        "spark.yarn.appMasterEnv.PYSPARK_PYTHON": PYTHON,
        "spark.yarn.appMasterEnv.PYSPARK_DRIVER_PYTHON": PYTHON,
        # Until the driver opens its session, which comes after a look at all slides. YARN itself waits no longer.
        "spark.yarn.am.waitTime": "600s",
    }
