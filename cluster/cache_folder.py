"""A folder of bounded size on this machine, shared by its processes: what was not used for longest makes room.

An entry has a folder `KEY/` and a lock file `KEY.lock`, which holds the entry's bytes as text and whose time is that of
the last use. Who uses an entry holds the lock shared, who makes or removes it holds it alone: the system itself lets go
of the locks of a process that dies.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cluster.closing import Closing
from cluster.sign_of_life import still_alive

FOLDER_VARIABLE: Final = "HISTOSPARK_CACHE"
BYTES_VARIABLE: Final = "HISTOSPARK_CACHE_BYTES"
PATIENCE: Final = 300.0  # seconds to wait for room while all is in use
_POLL: Final = 0.1  # seconds


class NoRoomError(Exception):
    """The cache cannot take an entry: one line with cause and remedy."""


class Held(Closing):
    """An entry in use: it is not removed before this is closed.

    Attributes:
        folder: of the entry.
    """

    def __init__(self, folder: Path, handle: int) -> None:
        self.folder = folder
        self._handle: int | None = handle

    def close(self) -> None:
        """Let others remove it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class CacheFolder:
    """The entries below one folder.

    Args:
        folder: made where it is not there, for this user alone.
        most_bytes: of all entries; None takes half of what is free beside them: a disk that is nearly full is taken
            from YARN's nodes, at 90 % unless they are told otherwise.

    Raises:
        NoRoomError: the folder is not this user's, or cannot be made.
    """

    def __init__(self, folder: Path, most_bytes: int | None) -> None:
        self.folder, self._most = folder, most_bytes
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner = folder.stat().st_uid
        except OSError as error:
            raise NoRoomError(f"{folder} cannot be made ({error.strerror}); set {FOLDER_VARIABLE}") from error
        if owner != os.getuid():
            raise NoRoomError(f"{folder} belongs to another user; set {FOLDER_VARIABLE}")

    def held(self, name: str, size: int, fill: Callable[[Path], None]) -> Held:
        """An entry, made if it is not there: by one process, while others that want it wait.

        Args:
            name: of what it holds, in this state: another state is another name.
            size: bytes.
            fill: puts the files into an empty folder; what it raises goes on to the caller.

        Raises:
            NoRoomError: all else is in use, or it is larger than the cache may be.
        """
        key = hashlib.sha256(name.encode()).hexdigest()[:32]
        target, lock = self.folder / key, self.folder / f"{key}.lock"
        while True:
            handle = _locked(lock, fcntl.LOCK_SH)
            if target.is_dir():
                os.utime(lock)
                return Held(target, handle)
            os.close(handle)
            handle = _locked(lock, fcntl.LOCK_EX)
            try:
                if not target.is_dir():
                    self._make(target, lock, size, fill)
            finally:
                os.close(handle)

    def _make(self, target: Path, lock: Path, size: int, fill: Callable[[Path], None]) -> None:
        part = target.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)  # of a process that died
        self._reserve(lock, size)
        try:
            part.mkdir()
            fill(part)
            part.rename(target)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            lock.write_text("0")
            raise

    def _reserve(self, lock: Path, size: int) -> None:
        """Note the bytes of an entry in its lock file, as soon as there is room for them."""
        patience = time.monotonic() + PATIENCE
        while True:
            with _alone(self.folder / "room"):
                sizes = {path: _bytes_of(path) for path in self.folder.glob("*.lock") if path != lock}
                most = self._limit(sum(sizes.values()))
                if size > most:
                    raise NoRoomError(f"it has {size:,} bytes, {_may_hold(self.folder, most)}")
                for path in sorted(sizes, key=_last_used):
                    if sum(sizes.values()) + size <= most:
                        break
                    if _removed(path):
                        del sizes[path]
                if sum(sizes.values()) + size <= most:
                    lock.write_text(str(size))
                    return
            if time.monotonic() > patience:
                raise NoRoomError(f"slides that are in use leave no room for it, {_may_hold(self.folder, most)}")
            still_alive()
            time.sleep(_POLL)

    def _limit(self, used: int) -> int:
        return self._most if self._most is not None else (shutil.disk_usage(self.folder).free + used) // 2


def this_machines_cache() -> CacheFolder:
    """The cache that all processes of a job share on this machine, as far as they can.

    It lies in `HISTOSPARK_CACHE`; else in the local folder of the YARN application, which all its executors share; else
    in that of the Spark executor; both are removed with them. Else in the machine's temporary folder, where it stays.
    It holds up to `HISTOSPARK_CACHE_BYTES`; see `CacheFolder`. On a cluster both are set by `spark.executorEnv`.

    Raises:
        NoRoomError: no folder, or a number of bytes that is none.
    """
    most = os.environ.get(BYTES_VARIABLE)
    if most is not None and not most.isdecimal():
        raise NoRoomError(f"{BYTES_VARIABLE} is '{most}'; give a number of bytes, e.g. 64000000000")
    yarn = os.environ.get("LOCAL_DIRS") if "CONTAINER_ID" in os.environ else None
    places = (yarn or os.environ.get("SPARK_LOCAL_DIRS") or "").split(",")
    folder = Path(places[0] or tempfile.gettempdir(), f"histospark-cache-{os.getuid()}")
    return CacheFolder(Path(os.environ.get(FOLDER_VARIABLE) or folder), None if most is None else int(most))


def _may_hold(folder: Path, most: int) -> str:
    return (
        f"and the cache of slides in {folder} may hold {most:,}; set {BYTES_VARIABLE} or, for a larger disk, "
        f"{FOLDER_VARIABLE}, or use fewer cores of a machine at once"
    )


def _locked(path: Path, kind: int, *, wait: bool = True) -> int:
    """An open file with its lock; the one that has the name, as others may have removed it meanwhile.

    Raises:
        BlockingIOError: another holds it, and we do not wait.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), path.stat()):
                    return handle
        except BlockingIOError:
            if not wait:
                os.close(handle)
                raise
            still_alive()
            time.sleep(_POLL)
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    handle = _locked(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(handle)


def _removed(lock: Path) -> bool:
    """Remove an entry, unless it is in use or being made."""
    try:
        handle = _locked(lock, fcntl.LOCK_EX, wait=False)
    except BlockingIOError:
        return False
    try:
        target = lock.with_suffix("")
        away = target.with_suffix(".away")
        with suppress(FileNotFoundError):
            target.rename(away)  # in one step: half an entry never has its name
        for folder in (away, target.with_suffix(".part")):
            shutil.rmtree(folder, ignore_errors=True)
        lock.unlink(missing_ok=True)
    finally:
        os.close(handle)
    return True


def _bytes_of(lock: Path) -> int:
    with suppress(FileNotFoundError, ValueError):
        return int(lock.read_text() or 0)
    return 0


def _last_used(lock: Path) -> float:
    with suppress(FileNotFoundError):
        return lock.stat().st_mtime
    return 0.0
