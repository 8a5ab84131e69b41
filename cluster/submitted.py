"""Running spark-submit to its end: the job's output reaches this terminal, its exit code this caller."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import click

from cluster.errors import ExitCode
from cluster.spark_home import SparkSubmit

_QUIET_LOG: Final = Path(__file__).with_name("log4j2.properties")
_APPLICATION: Final = re.compile(r"(?:Submitted application|Application report for) (application_\d+_\d+)")
_STATUS: Final = re.compile(r"User application exited with status (\d+)")
_LOG_LINE: Final = re.compile(r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d (INFO|WARN|ERROR|DEBUG) |\tat |Caused by: ")

_ASKED: Final = 4  # times for a log
_BETWEEN: Final = 3.0  # seconds


@dataclass
class ClusterRun:
    """What spark-submit says about a driver on a node of YARN.

    Attributes:
        application: its id; empty before YARN has taken it.
        status: exit code of the job, where YARN tells it: for a driver that ended with a code other than 0.
    """

    application: str = ""
    status: int | None = None

    def hear(self, line: str) -> None:
        """Take what is of use from a line of its log."""
        if found := _APPLICATION.search(line):
            self.application = found[1]
        if found := _STATUS.search(line):
            self.status = int(found[1])


def run_here(command: Sequence[str], spark: SparkSubmit) -> int:
    """Run a job whose driver runs on this machine.

    Args:
        command: of `spark_submit_command`.
        spark: the program of the command.

    Returns:
        The job's exit code.
    """
    environment = spark.environment()
    # Spark's own log tells errors only. A log that the user has set comes later on Java's command line, and wins.
    options = [f"-Dlog4j2.configurationFile={_QUIET_LOG}", environment.get("SPARK_SUBMIT_OPTS", "")]
    environment["SPARK_SUBMIT_OPTS"] = " ".join(options)
    with _ended_with_us(subprocess.Popen(command, env=environment, text=True)) as job:
        return job.wait()


def run_on_cluster(command: Sequence[str], spark: SparkSubmit) -> int:
    """Run a job whose driver runs on a node of YARN, showing YARN's reports, and the job's output at the end.

    Args:
        command: of `spark_submit_command`.
        spark: the program of the command.

    Returns:
        The job's exit code as far as YARN tells: 0 and the codes of a driver that ended by itself; 1 for all else.
    """
    environment, run = spark.environment(), ClusterRun()
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, errors="replace")
    with _ended_with_us(process) as job:
        for line in job.stderr or ():
            sys.stderr.write(line)
            run.hear(line)
        code = job.wait()
    if run.application:
        show_output(run.application, spark, environment)
    return code if code == ExitCode.GOOD or run.status is None else run.status


def show_output(application: str, spark: SparkSubmit, environment: Mapping[str, str]) -> None:
    """Print what a job on YARN has written, as YARN kept it: without Spark's own log."""
    for name, is_error in (("stdout", False), ("stderr", True)):
        kept = None if spark.home is None else _kept_log(application, name, spark.home, environment)
        if kept is None:
            click.echo(f"histospark: read the job's output by yarn logs -applicationId {application} -am ALL", err=True)
            return
        for line in output_lines(kept):
            click.echo(line, err=is_error)


def _kept_log(application: str, name: str, home: Path, environment: Mapping[str, str]) -> str | None:
    """A log of the driver; None where YARN has none, or not within a while: it collects logs after the end."""
    # Spark's jars hold the program behind `yarn logs`, so that a gateway needs no Hadoop.
    reader = [str(home / "bin" / "spark-class"), "org.apache.hadoop.yarn.client.cli.LogsCLI"]
    command = [*reader, "-applicationId", application, "-am", "ALL", "-log_files", name]
    for attempt in range(_ASKED):
        time.sleep(_BETWEEN if attempt else 0)
        said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if said.returncode == 0:
            return said.stdout
    return None


def output_lines(kept: str) -> Iterator[str]:
    """The lines of a log as `yarn logs` prints it, without its heads and tails, and without Spark's own."""
    inside = False
    for line in kept.splitlines():
        if line.startswith(("LogContents:", "Log Contents:")):
            inside = True
        elif line.startswith(("End of LogType:", "***")):
            inside = False
        elif inside and not _LOG_LINE.match(line):
            yield line


@contextmanager
def _ended_with_us(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """Hand on the signal by which schedulers end a command; a terminal's reaches the process by itself."""

    def hand_on(number: int, _: FrameType | None) -> None:
        process.send_signal(number)

    before = signal.signal(signal.SIGTERM, hand_on)
    try:
        with process:
            yield process
    except KeyboardInterrupt:
        process.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
