"""What makes Spark's Python workers quick to take their next task, and ends those that hang."""

import ctypes
import faulthandler
import gc
import hashlib
import itertools
import math
import os
import socket
import stat
import sys
import tempfile
import time
import zipimport
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

from pyspark import SparkFiles, TaskContext

from cluster.sign_of_life import heard_by

HANGS_AFTER: Final = 600.0  # seconds without a sign of life
HANGS_AFTER_VARIABLE: Final = "HISTOSPARK_HANGS_AFTER"
"""Environment variable with another number of seconds; on a cluster it is set by `spark.executorEnv`."""
_FULL_COLLECTION: Final = 2  # the oldest of Python's generations
_M_TRIM_THRESHOLD: Final = -1  # as in malloc.h
_M_MMAP_THRESHOLD: Final = -3


_collections = itertools.count(1)


def make_tasks_quick() -> None:
    """Spare every task what Spark's Python workers do between two of them; to be called by what runs on workers.

    Spark invalidates the import caches at the start of every task. Before Python 3.13 that reads the listing of each
    archive anew, once per package in it: 0.15 s a task for pyspark.zip alone. Archives do not change while
    an application runs; one that is added later is a new entry of the path and is read.

    At the end of every task Spark collects garbage, which looks at every object of every imported library: 0.1 s. What
    is there at the first task stays to the end, so it is not looked at again; nor is what is left after the first, the
    second, the fourth task and so on, since tasks import, too.

    Spark sends a task in two writes. Its system holds the second one, as it is small, until the first is acknowledged,
    and Linux delays that by 40 ms, for which a short task waits. So it is acknowledged at once: what says so does not
    outlast an answer, and is said again in every task and after it, when Spark collects the garbage.

    The C library gives memory of more than 128 kB back as soon as it is free, and each block of a slide gets it anew,
    page by page and cleared: an eighth of the time of conf/camelyon16.yaml. So up to 128 MB are kept.
    """
    _acknowledge_at_once()
    if zipimport.zipimporter.invalidate_caches is _remember:
        return  # this worker has been here; to ask how much is frozen would count it all
    zipimport.zipimporter.invalidate_caches = _remember  # type: ignore[method-assign]
    gc.freeze()
    gc.callbacks.append(_between_tasks)
    _keep_free_memory()


def _keep_free_memory() -> None:
    """Set two parameters of glibc's malloc; other C libraries have neither."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # what is larger goes back at once; 32 MB is the most that glibc accepts
        mallopt(_M_TRIM_THRESHOLD, 128 << 20)


def _between_tasks(phase: str, info: Mapping[str, int]) -> None:
    """Python calls it at every collection; the full ones are those of Spark between two tasks, and few others."""
    if phase == "stop" and info["generation"] == _FULL_COLLECTION:
        _acknowledge_at_once()
        count = next(_collections)
        if count & (count - 1) == 0:  # a power of two: what dies after it was frozen stays, so not after each
            gc.freeze()


def _acknowledge_at_once() -> None:
    for connection in _connections():
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


@cache
def _connections() -> tuple[socket.socket, ...]:
    """The TCP connections of this worker: it has one, with Spark, for as long as it lives. None but on Linux."""
    if TaskContext.get() is None or not hasattr(socket, "TCP_QUICKACK"):
        return ()
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the listing's own file, which is closed by now
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                connection = socket.socket(fileno=os.dup(int(name)))
                if connection.type == socket.SOCK_STREAM and connection.family in (socket.AF_INET, socket.AF_INET6):
                    found.append(connection)
    return tuple(found)


def _remember(self: zipimport.zipimporter) -> None:
    """Takes the place of the method that reads the archive again."""


@contextmanager
def watchdog(name: str, seconds: float | None = None) -> Iterator[Callable[[], None]]:
    """End this process if the work inside hangs, even in native code that holds the interpreter's lock.

    Spark then sees a lost worker. What the process was at when it hung or crashed is kept for the next attempt
    on the same machine, see `last_words`. One watchdog at a time in a process.

    Args:
        name: of the work, unique within the application.
        seconds: without a sign of life after which it hangs; None takes the environment's, else 600.

    Yields:
        To be called as a sign of life: after it, the time counts anew.
    """
    limit = float(os.environ.get(HANGS_AFTER_VARIABLE, HANGS_AFTER)) if seconds is None else seconds
    path = _words_path(name)
    was_enabled = faulthandler.is_enabled()
    with path.open("w") as file:
        faulthandler.enable(file)

        armed = -math.inf

        def alive() -> None:
            nonlocal armed
            now = time.monotonic()
            if now - armed > limit / 20:  # arming starts a thread, which would cost more than a small block
                armed = now
                faulthandler.dump_traceback_later(limit, exit=True, file=file)

        alive()
        try:
            with heard_by(alive):
                yield alive
        finally:
            faulthandler.cancel_dump_traceback_later()
            faulthandler.disable()
            if was_enabled and sys.__stderr__ is not None:
                faulthandler.enable(sys.__stderr__)
    path.unlink(missing_ok=True)


def last_words(name: str) -> str:
    """The stacks that work left when it crashed or hung on this machine, and removes them.

    Returns:
        As `faulthandler` writes them; empty where it was killed, or ran elsewhere.
    """
    path = _words_path(name)
    try:
        words = path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    path.unlink(missing_ok=True)
    return words


def deaths_of_this_task() -> int:
    """How many earlier attempts at this Spark task ended with their worker; 0 outside Spark."""
    context = TaskContext.get()
    return 0 if context is None else context.attemptNumber()


def _words_path(name: str) -> Path:
    """In the folder that Spark removes with the application."""
    folder = tempfile.gettempdir() if TaskContext.get() is None else SparkFiles.getRootDirectory()
    return Path(folder, f"histospark-{hashlib.sha256(name.encode()).hexdigest()[:16]}.txt")
