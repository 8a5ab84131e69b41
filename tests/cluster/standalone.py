"""A real standalone Spark cluster on this machine: a master and as many workers as a test wants, of any Spark."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyspark

from cluster.java import ensure_java

SPARK_HOME = Path(pyspark.__file__).parent
HOST = "127.0.0.1"
_STARTS_WITHIN = 300.0  # seconds
_ENDS_WITHIN = 20.0  # seconds; then it is killed


@dataclass(frozen=True)
class Worker:
    """One worker of a cluster.

    Attributes:
        process: its JVM, which leads a process group: `os.killpg(process.pid, …)` reaches its executors' JVMs, too.
        port: of its web page.
        work_dir: holds a folder for each application, in which executors keep logs and unpack archives.
        log: of the worker itself.
    """

    process: "subprocess.Popen[bytes]"
    port: int
    work_dir: Path
    log: Path


class StandaloneCluster:
    """A master with workers, from entering it to leaving it; nothing of it survives that.

    Args:
        folder: for logs and the folders of workers.
        workers: started with it; `add_worker` starts more.
        cores, memory: of each worker, whatever the machine has.
        spark_home: which Spark; None takes pip's.
        environment: of master and workers, in addition to the machine's (e.g. `SPARK_DAEMON_JAVA_OPTS`).

    Attributes:
        master: its URL.
        master_process: its JVM.
        ui: port of the master's web page; `state()` reads it.
        workers: all that were ever started, dead ones included.
    """

    def __init__(
        self,
        folder: Path,
        workers: int = 1,
        cores: int = 2,
        memory: str = "2g",
        spark_home: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.spark_home = spark_home or SPARK_HOME
        self.workers: list[Worker] = []
        self._wanted = workers
        self._size = (cores, memory)
        self._environment = {**os.environ, "SPARK_HOME": str(self.spark_home), **(environment or {})}
        port, self.ui = free_port(), free_port()
        self.master = f"spark://{HOST}:{port}"
        self._master_arguments = ("--host", HOST, "--port", port, "--webui-port", self.ui)

    def __enter__(self) -> Self:
        ensure_java()
        if "JAVA_HOME" in os.environ:
            self._environment["JAVA_HOME"] = os.environ["JAVA_HOME"]
        self.master_process = self._start("master.Master", self.folder / "master.log", *self._master_arguments)
        try:
            for _ in range(self._wanted):
                self.add_worker()
            self.wait_for_workers(self._wanted)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_worker(self, host: str = HOST) -> Worker:
        """Start one more worker; `wait_for_workers` says when it has joined.

        Args:
            host: its address; all of 127.0.0.0/8 are this machine, and Spark takes two of them for two machines.
        """
        number, port = len(self.workers), free_port()
        cores, memory = self._size
        work, log = self.folder / f"work-{number}", self.folder / f"worker-{number}.log"
        process = self._start(
            "worker.Worker", log, self.master, "--host", host, "--webui-port", port, "--cores", cores,
            "--memory", memory, "--work-dir", work,
        )  # fmt: skip
        self.workers.append(Worker(process, port, work, log))
        return self.workers[-1]

    def state(self) -> str:
        """What the master says about workers and applications, as JSON."""
        with urllib.request.urlopen(f"http://{HOST}:{self.ui}/json/") as page:
            return str(page.read().decode())

    def wait_for_workers(self, count: int) -> None:
        """Until at least that many are alive by the master's word."""
        deadline = time.monotonic() + _STARTS_WITHIN
        while time.monotonic() < deadline:
            with suppress(OSError):  # the master does not listen yet
                if self.state().partition('"workers"')[2].count('"ALIVE"') > count - 1:
                    return
            time.sleep(0.3)
        raise TimeoutError(f"fewer than {count} workers joined {self.master}: see {self.folder}")

    def close(self) -> None:
        """End all: kindly first, so that workers remove their executors, stopped ones included."""
        running = [worker.process for worker in self.workers] + [self.master_process]
        for process in running:
            for sent in (signal.SIGCONT, signal.SIGTERM):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, sent)
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_ENDS_WITHIN)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(self, daemon: str, log: Path, *arguments: object) -> "subprocess.Popen[bytes]":
        command = [str(self.spark_home / "bin" / "spark-class"), f"org.apache.spark.deploy.{daemon}"]
        with log.open("w") as file:
            return subprocess.Popen(
                [*command, *map(str, arguments)], stdout=file, stderr=file, env=self._environment, cwd=self.folder,
                start_new_session=True,
            )  # fmt: skip


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
