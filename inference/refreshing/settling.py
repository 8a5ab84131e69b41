"""Which slides may be taken now: files that are still being copied in wait for the next run.

The list of slides is looked at twice, a while apart. Only what is new or changed since the last run can be unfinished,
so only that makes the look worth its while.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cluster.storage import Store
from preprocessing.slide_entry import SlideEntry

_OPENERS = 16  # threads; the files may be far away

Look = Callable[[], Sequence[SlideEntry]]
State = tuple[str, str]
"""A slide_id and the fingerprint of its files."""


@dataclass(frozen=True)
class Waiting:
    """A slide that waits for the next run.

    Attributes:
        slide_id: which.
        fingerprint: of its files at the last look, to know it again in the next run.
        reason: for people.
    """

    slide_id: str
    fingerprint: str
    reason: str


@dataclass(frozen=True)
class Looked:
    """What two looks came to.

    Attributes:
        ready: slides to work with, those that were done before included.
        waiting: those to leave alone in this run.
    """

    ready: tuple[SlideEntry, ...]
    waiting: tuple[Waiting, ...] = ()


def look_twice(
    look: Look,
    known: frozenset[State],
    waited: frozenset[State],
    settle: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Looked:
    """Look at the slides twice and tell who waits.

    Args:
        look: lists the slides, with fingerprints over all files of a slide, its annotation and mask included.
        known: slides with the fingerprint of the last attempt; none of these is waited for.
        waited: slides that waited in the last run with the same fingerprint: a file that cannot be opened has then had
            its time, and is taken, to fail by name.
        settle: seconds between the looks.
        sleep: waits.

    Returns:
        At once where nothing is new or changed. Memory: two lists of slides, about 1 kB a slide each.

    Raises:
        UsageError: the slides cannot be listed (any more).
    """
    first = look()
    if all(_state(entry) in known for entry in first):
        return Looked(tuple(first))
    sleep(settle)
    second = look()
    before = {entry.slide_id: entry.fingerprint for entry in first}
    waiting = {one.slide_id: one for one in _moving(before, second)}
    fresh = [entry for entry in second if entry.slide_id not in waiting and _state(entry) not in known]
    waiting |= {one.slide_id: one for one in _locked([entry for entry in fresh if _state(entry) not in waited])}
    ready = tuple(entry for entry in second if entry.slide_id not in waiting)
    return Looked(ready, tuple(waiting[name] for name in sorted(waiting)))


def changed_since(entries: Sequence[SlideEntry], names: frozenset[str], look: Look) -> tuple[Waiting, ...]:
    """Of some slides, those whose files are no longer what they were at the last look: copied more slowly than we wait.

    Args:
        entries: of the last look.
        names: slide_ids to compare.
        look: lists the slides.
    """
    now = {entry.slide_id: entry.fingerprint for entry in look()}
    return tuple(
        Waiting(entry.slide_id, now.get(entry.slide_id, ""), "its files changed while it was worked on")
        for entry in entries
        if entry.slide_id in names and now.get(entry.slide_id) != entry.fingerprint
    )


def _state(entry: SlideEntry) -> State:
    return entry.slide_id, entry.fingerprint


def _moving(before: Mapping[str, str], second: Sequence[SlideEntry]) -> Iterator[Waiting]:
    """What came, went or changed between two looks."""
    for entry in second:
        if entry.slide_id not in before:
            yield Waiting(entry.slide_id, entry.fingerprint, "it has only just come")
        elif before[entry.slide_id] != entry.fingerprint:
            yield Waiting(entry.slide_id, entry.fingerprint, "its files are still changing")
    there = {entry.slide_id for entry in second}
    for name in before.keys() - there:
        yield Waiting(name, "", "it went away while we looked")


def _locked(entries: Sequence[SlideEntry]) -> list[Waiting]:
    """Those with a file that its writer keeps to itself; one byte of every file is read."""
    with ThreadPoolExecutor(_OPENERS) as pool:
        return [found for found in pool.map(_refused, entries) if found is not None]


def _refused(entry: SlideEntry) -> Waiting | None:
    for path in (entry.path, entry.annotation, entry.mask):
        try:
            if path:
                read_first_byte(path)
        except FileNotFoundError:
            continue  # fails by name when it is opened
        except OSError as error:
            reason = f"it cannot be opened yet: {error.strerror or error}"
            return Waiting(entry.slide_id, entry.fingerprint, reason)
    return None


def read_first_byte(path: str) -> None:
    """Open a file and read of it.

    Args:
        path: absolute, or a URI.

    Raises:
        OSError: it may not be read, for now or for good.
    """
    if path.startswith("/"):  # whatever signs a local name holds, they are no URI's
        with Path(path).open("rb") as local:
            local.read(1)
        return
    store = Store(path)
    with store.fs.open(store.root, "rb") as file:
        file.read(1)
