"""One job at a time for one output folder: the second is refused, a dead one is replaced.

A lock is a file `_lock-NUMBER.json` in the output, created exclusively, which says whose it is. Its owner touches it
every few seconds. A job that finds the lock of a dead one creates the next number: of many that try, the store lets one
succeed. Whether the owner is dead is asked of the system where it runs on the same machine, which is at once and
certain; elsewhere it is dead when its file was not touched for a while, by the clock of the store, so that no
clock of a machine matters. Where YARN has started a driver anew, the one before is dead by YARN's word.
"""

import getpass
import json
import logging
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cluster.errors import JobError, UsageError
from cluster.storage import Store
from cluster.yarn_attempt import is_later_attempt, yarn_attempt

TOUCHED_EVERY: Final = 10.0  # seconds
DEAD_AFTER: Final = 60.0  # seconds without a touch
_NAME: Final = re.compile(r"_lock-\d+\.json")
_UNSEEN: Final = "unseen"

log = logging.getLogger("histospark")


@dataclass(frozen=True)
class Owner:
    """Who holds a lock.

    Attributes:
        run: unique name of the run.
        application: what it is, for people.
        user, host, pid: where it runs.
        machine: tells machines, their boots and their containers apart.
        process: tells a process from a later one with the same pid.
        since: UTC, ISO 8601.
        attempt: of an application of YARN; empty for a process outside its containers.
    """

    run: str
    application: str
    user: str
    host: str
    pid: int
    machine: str
    process: str
    since: str
    attempt: str = ""

    def __str__(self) -> str:
        return f"{self.application} of {self.user} on {self.host} (process {self.pid}, since {self.since})"


@contextmanager
def output_lock(
    store: Store, run: str, application: str, touched_every: float = TOUCHED_EVERY, dead_after: float = DEAD_AFTER
) -> Iterator[None]:
    """Hold the lock of an output folder; a thread keeps it alive.

    Args:
        store: the output folder.
        run: unique name of this run, for `confirm_lock`.
        application: what it is, for the one who is refused.
        touched_every: seconds between two signs of life.
        dead_after: seconds without one after which an owner on another machine counts as dead.

    Raises:
        UsageError: another job that lives holds it, or the folder cannot be written.
    """
    try:
        name = _acquire(store, _myself(run, application), dead_after)
    except OSError as error:
        raise UsageError(f"{store.uri} cannot be written: {error.strerror or error}; choose another --out") from error
    over = threading.Event()
    keeper = threading.Thread(
        target=_keep, args=(store, name, over, touched_every), name="histospark-lock", daemon=True
    )
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
        if holds_lock(store, run):
            store.remove(name)


def refuse_locked(store: Store, dead_after: float = DEAD_AFTER) -> None:
    """Make sure that no other job works on an output, before anything is started.

    Raises:
        UsageError: one does; it is named.
    """
    for name in _names(store):
        owner = _living_owner(store, name, dead_after)
        if owner is not None:
            raise _refusal(store, owner, dead_after)


def holds_lock(store: Store, run: str) -> bool:
    """Whether a run still holds the lock."""
    return any(owner.run == run for name in _names(store) if (owner := _owner(store, name)))


def confirm_lock(store: Store, run: str) -> None:
    """To be called before every step that shows in the output.

    Raises:
        JobError: the lock is not (or no longer) that of this run.
    """
    if not holds_lock(store, run):
        others = [str(owner) for name in _names(store) if (owner := _owner(store, name))]
        by = f"taken over by {others[-1]}" if others else "removed"
        raise JobError(
            f"the lock of {store.uri} was {by}, as this job gave no sign of life for too long; it stops here, nothing "
            "committed is lost: run it again when the other is done"
        )


def _acquire(store: Store, me: Owner, dead_after: float) -> str:
    while True:
        store.fs.invalidate_cache()
        found = _names(store)
        for name in found:
            owner = _living_owner(store, name, dead_after)
            if owner is not None:
                raise _refusal(store, owner, dead_after)
        mine = f"_lock-{1 + max(map(_number, found), default=0):08d}.json"
        if store.create(json.dumps(asdict(me), indent=2).encode(), mine):
            break
    # A job that looked before the last change may have created another number: who meets a living one gives way.
    for name in _names(store):
        owner = None if name == mine else _living_owner(store, name, dead_after)
        if owner is not None:
            store.remove(mine)
            raise _refusal(store, owner, dead_after)
    for name in found:
        log.warning("took over the lock of %s, which is dead", _owner(store, name) or "an unknown job")
        store.remove(name)
    return mine


def _keep(store: Store, name: str, over: threading.Event, every: float) -> None:
    while not over.wait(every):
        try:
            store.touch(name)
        except FileNotFoundError:
            log.warning("the lock of %s is gone; this job will stop before it publishes more", store.uri)
            return
        except OSError as error:
            log.warning("the lock of %s could not be touched: %s", store.uri, error)


def _names(store: Store) -> list[str]:
    return sorted(filter(_NAME.fullmatch, store.names()), key=_number)


def _number(name: str) -> int:
    return int(name.removeprefix("_lock-").removesuffix(".json"))


def _owner(store: Store, name: str) -> Owner | None:
    """None where the file is gone or not whole."""
    try:
        return Owner(**json.loads(store.read_bytes(name)))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _living_owner(store: Store, name: str, dead_after: float) -> Owner | None:
    """None where the owner is dead."""
    owner = _owner(store, name)
    if owner is not None and is_later_attempt(yarn_attempt(), owner.attempt):
        return None
    if owner is not None and owner.machine == _machine():
        process = _process(owner.pid)
        if process is None or process == owner.process:
            return owner if process else None
        if process != _UNSEEN:
            return None  # a later process with the same pid
    try:
        is_dead = store.seconds_since_touched(name) > dead_after
    except FileNotFoundError:
        return None
    return None if is_dead else owner or Owner("", "an unknown job", "unknown", "unknown", 0, "", "", "unknown")


def _refusal(store: Store, owner: Owner, dead_after: float) -> UsageError:
    wait = "wait until it is done, or stop it"
    if owner.machine != _machine():
        wait += f"; a job that died there counts as dead {dead_after:.0f} s after its last sign of life"
    return UsageError(f"{store.uri} is being written by {owner}; {wait}")


def _myself(run: str, application: str) -> Owner:
    pid = os.getpid()
    since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    process, host = _process(pid) or _UNSEEN, socket.gethostname()
    return Owner(run, application, _user(), host, pid, _machine(), process, since, yarn_attempt())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number without a name
        return f"user {os.getuid()}"


def _machine() -> str:
    """Where two processes are in the same one, each can ask for the other's pid."""
    known = [socket.gethostname()]
    with suppress(OSError):  # Linux only; elsewhere the host's name has to do
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        known.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(known)


def _process(pid: int) -> str | None:
    """When a process started, in the system's own words; None where it is dead, `_UNSEEN` where one may not look."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:  # another user's
        pass
    if not Path("/proc/self/stat").exists():
        said = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return said.stdout.strip() or None
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return _UNSEEN
    return None if state in "ZX" else fields[18]  # a zombie is dead; field 22 of proc(5) is the start
