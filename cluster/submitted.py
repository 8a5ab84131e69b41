"""Running spark-submit to its end: the job's output reaches this terminal, its exit code this caller."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import click

from cluster.errors import ExitCode
from cluster.spark_home import SparkSubmit
from cluster.yarn_logs import driver_logs, output_lines

_QUIET_LOG: Final = Path(__file__).with_name("log4j2.properties")
_APPLICATION: Final = re.compile(r"(?:Submitted application|Application report for) (application_\d+_\d+)")
_STATUS: Final = re.compile(r"User application exited with status (\d+)")


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


def run_on_cluster(
    command: Sequence[str], spark: SparkSubmit, logs_of: Callable[[str], str | None] = driver_logs
) -> int:
    """Run a job whose driver runs on a node of YARN, showing YARN's reports, and the job's output at the end.

    Args:
        command: of `spark_submit_command`.
        spark: the program of the command.
        logs_of: gives the logs of an application's driver, once it has ended.

    Returns:
        The job's exit code as far as YARN tells: 0 and the codes of a driver that ended by itself; 1 for all else.
    """
    run = ClusterRun()
    process = subprocess.Popen(command, env=spark.environment(), stderr=subprocess.PIPE, text=True, errors="replace")
    with _ended_with_us(process) as job:
        for line in job.stderr or ():
            sys.stderr.write(line)
            run.hear(line)
        code = job.wait()
    if run.application:
        show_output(run.application, logs_of(run.application))
    return code if code == ExitCode.GOOD or run.status is None else run.status


def show_output(application: str, logs: str | None) -> None:
    """Print what a job on YARN has written, as YARN kept it, or how to ask for it."""
    if logs is None:
        click.echo(f"histospark: read the job's output by yarn logs -applicationId {application} -am ALL", err=True)
        return
    for line in output_lines(logs, "stdout"):  # Spark merges both of a Python driver; the other log is its own
        click.echo(line)


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
