"""Whole processes: how long they take on some cores, and how much memory each of their kinds takes."""

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

_LOOK_EVERY = 0.05  # seconds
_LAST_LINES = 15
_CPU_FIELDS = (11, 12, 13, 14)  # user and system time, own and of ended children, counted behind the name


@dataclass(frozen=True)
class Finished:
    """A process that has ended.

    Attributes:
        seconds: from its start to its end.
        peaks: largest resident memory of one process of each kind, MB: `driver` (the process itself), `java`, and
            `worker` (Spark's Python workers). Empty unless asked for.
    """

    seconds: float
    peaks: Mapping[str, float]


def run_whole(
    command: Sequence[str | Path], cores: int, log: Path, *, watch_memory: bool = False, good: Sequence[int] = (0,)
) -> Finished:
    """Run a command on the first cores of this process and wait for its end.

    Args:
        command: with its arguments.
        cores: how many it may use, all of its threads and children together.
        log: file that gets what it says.
        watch_memory: look at its memory all the time; slows it a little.
        good: exit codes that are no failure.

    Raises:
        ClickException: it failed; the last lines of its log are told.
    """
    with log.open("wb") as out:
        started = time.perf_counter()
        process = subprocess.Popen(pinned(command, cores), stdout=out, stderr=subprocess.STDOUT)
        with _Watch(process.pid, enabled=watch_memory) as watch:
            code = process.wait()
        seconds = time.perf_counter() - started
    if code not in good:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
        raise click.ClickException(f"{' '.join(map(str, command))} ended with {code}:\n{tail}")
    return Finished(seconds, watch.peaks)


class _Watch:
    """Looks again and again at a process and all that descend from it."""

    def __init__(self, root: int, *, enabled: bool) -> None:
        self.peaks: dict[str, float] = {}
        self._root = root
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True) if enabled else None

    def __enter__(self) -> "_Watch":
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_EVERY):
            for pid in descendants(self._root):
                kind, peak = kind_of(pid, self._root), peak_of(pid)
                self.peaks[kind] = max(self.peaks.get(kind, 0.0), peak)


def pinned(command: Sequence[str | Path], cores: int) -> list[str]:
    """A command that runs on the first cores of this process, all of its children, too.

    By taskset, as a function between fork and exec is unsafe where threads run.

    Raises:
        ClickException: there are fewer cores.
    """
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    if len(allowed) < cores:
        raise click.ClickException(f"{cores} cores are wanted, {len(allowed)} are here; measure on a larger machine")
    return ["taskset", "--cpu-list", ",".join(map(str, allowed)), *map(str, command)]


def descendants(root: int) -> list[int]:
    """A process and all that descend from it, by Linux's process table."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            parent = _field(entry / "status", "PPid:")
            children.setdefault(int(parent or 0), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """Processor time that a process, its descendants, and those of them that have ended took so far, seconds."""
    total = 0
    for pid in descendants(root):
        try:
            after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        total += sum(int(after_name[place]) for place in _CPU_FIELDS)
    return total / os.sysconf("SC_CLK_TCK")


def kind_of(pid: int, root: int) -> str:
    """`driver`, `java`, `worker`, or `other` (what is started and gone in a moment)."""
    if pid == root:
        return "driver"
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:  # it has ended
        return "other"
    if b"pyspark.daemon" in command or b"pyspark.worker" in command:
        return "worker"
    return "java" if b"java" in command.split(b" ")[0] else "other"


def peak_of(pid: int) -> float:
    """Largest resident memory of a process so far, MB; 0 when it has ended."""
    text = _field(Path(f"/proc/{pid}/status"), "VmHWM:")
    return int(text.split()[0]) / 1024 if text else 0.0


def _field(path: Path, name: str) -> str:
    try:
        lines = path.read_text().splitlines()
    except OSError:  # it has ended
        return ""
    return next((line.removeprefix(name).strip() for line in lines if line.startswith(name)), "")
