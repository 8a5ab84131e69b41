"""Tilers that are started once and asked for one job after the other, so that start-up is off by construction.

A session is a process that reads one request a line (JSON) and answers with one line: `tiling_session` is ours,
`hs2p_session` the peer's. Seconds are measured inside the session, from request to finished table. Fixed costs of a job
that do not grow with its slides are measured by a tiny job in the same round and taken off on both sides.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click

from benchmarks.ours import link_files
from benchmarks.pairs import Run
from benchmarks.processes import cpu_seconds, pinned

ANSWER = "@answer "
"""What an answer begins with; all else that a session says on its standard output is passed over."""


class Session:
    """A running tiler, pinned to some cores.

    Args:
        command: starts it.
        cores: that it may use, all of its threads and children together.
        work: folder for slides, tables and its log; emptied.

    Attributes:
        start_up: seconds from its start to the answer to its first, tiny job; set by `warm`.
    """

    def __init__(self, command: Sequence[str | Path], cores: int, work: Path) -> None:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        self.start_up = 0.0
        self._work = work
        self._started = time.perf_counter()
        self._log = (work / "log.txt").open("wb")
        self._process = subprocess.Popen(
            pinned(command, cores), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )

    def warm(self, tiny: Sequence[Path], **settings: object) -> None:
        """Do the first job, which says how long the start-up took."""
        self.tile(tiny, **settings)
        self.start_up = time.perf_counter() - self._started

    def tile(self, files: Sequence[Path], **settings: object) -> Run:
        """Tile slides into a fresh folder, which is removed afterwards.

        Args:
            files: slides, and annotations where they count; linked into a folder of their own.
            settings: what the session understands besides `slides` and `out`.

        Raises:
            ClickException: the session has ended; its log tells why.
        """
        job = self._work / "job"
        shutil.rmtree(job, ignore_errors=True)
        request = {"slides": str(link_files(files, job / "slides")), "out": str(job / "out"), **settings}
        before = cpu_seconds(self._process.pid)
        answer = self._ask(request)
        cpu = cpu_seconds(self._process.pid) - before
        shutil.rmtree(job)
        return Run(float(answer["seconds"]), int(answer["tiles"]), cpu)

    def _ask(self, request: dict[str, object]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise click.ClickException("the session has no pipes")
        try:
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, which the loop below tells
        for line in stdout:
            if line.startswith(ANSWER):
                return dict(json.loads(line.removeprefix(ANSWER)))
        tail = "\n".join((self._work / "log.txt").read_text(errors="replace").splitlines()[-15:])
        raise click.ClickException(f"the session ended with {self._process.wait()}:\n{tail}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.stdin:
            self._process.stdin.close()  # which ends it
        self._process.wait()
        self._log.close()


def our_session(cores: int, work: Path) -> Session:
    """HistoSpark on local Spark, one worker a core."""
    return Session([sys.executable, "-m", "benchmarks.tiling_session", f"local[{cores}]"], cores, work)
