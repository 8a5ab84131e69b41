"""What goes wrong on clusters, done on purpose to a real one: machines that die, stand still, or come back too late.

A process that was stopped can be looked at in peace: so an executor is stopped first, and where it was not in the
middle of a slide it goes on and another moment is tried. What is disturbed then is work in progress, for certain.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster.standalone import StandaloneCluster, Worker

_PATIENCE: Final = 600.0  # seconds, for a machine that is stuck


@dataclass(frozen=True)
class Executor:
    """An executor that lives.

    Attributes:
        jvm: its process.
        folder: where it works.
        worker: whose it is.
    """

    jvm: int
    folder: Path
    worker: Worker

    @property
    def units(self) -> set[str]:
        """What its Python workers are at: a file for each unit of work, which lies there only meanwhile.

        Two executors that are at the same unit have files of the same name.
        """
        return {path.name for path in self.folder.glob("histospark-*.txt")}

    @property
    def python_workers(self) -> list[int]:
        """The processes that do the work, without the one that they are forked from."""
        return [pid for daemon in _children(self.jvm) for pid in _children(daemon)]

    @property
    def tree(self) -> list[int]:
        """All its processes."""
        return _tree(self.jvm)


def executors(cluster: StandaloneCluster) -> list[Executor]:
    """All that live, of all applications."""
    found = []
    for worker in cluster.workers:
        for pid in _children(worker.process.pid):
            with suppress(OSError, ValueError):  # it has just ended
                words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                number, application = (words[words.index(name) + 1] for name in ("--executor-id", "--app-id"))
                found.append(Executor(pid, worker.work_dir / application / number, worker))
    return found


def wait_for(sign: Callable[[], object], what: str) -> None:
    """Until something is so.

    Raises:
        TimeoutError: it does not happen.
    """
    deadline = time.monotonic() + _PATIENCE
    while not sign():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.005)


def stopped_at_work(cluster: StandaloneCluster, least: int = 1) -> Executor:
    """Stop an executor and its Python workers while these are in the middle of some slide.

    Args:
        cluster: on which a job runs.
        least: units that have to be in progress there.

    Raises:
        TimeoutError: none was ever met at work.
    """
    met: list[Executor] = []

    def meets() -> bool:
        for executor in executors(cluster):
            if len(executor.units) < least:
                continue
            stop(executor.tree)
            stop(executor.tree)  # a Python worker may have been forked meanwhile
            if len(executor.units) >= least and executor.python_workers:
                met.append(executor)
                return True
            go_on(executor.tree)
        return False

    wait_for(meets, "no executor is at work")
    return met[0]


def stop(pids: Iterable[int]) -> None:
    """Let processes stand still, unannounced."""
    _send(pids, signal.SIGSTOP)


def go_on(pids: Iterable[int]) -> None:
    """Wake processes that were stopped; those that have ended meanwhile stay so."""
    _send(pids, signal.SIGCONT)


def kill(pids: Iterable[int]) -> None:
    """End processes at once, stopped or not."""
    _send(pids, signal.SIGKILL)


def machine_of(worker: Worker) -> list[int]:
    """All processes of a worker, its executors and their Python workers, as if they had a machine for themselves."""
    return _tree(worker.process.pid)


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _tree(pid: int) -> list[int]:
    return [pid, *(below for child in _children(pid) for below in _tree(child))]


def _children(pid: int) -> list[int]:
    try:
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [int(child) for line in lists for child in line.split()]
