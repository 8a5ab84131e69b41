"""Files from HDFS and S3 on a disk of this machine, for libraries that open nothing else.

A copy is made once for all processes of a machine. Spark is not asked to send work to where a copy lies: it takes
preferences only for blocks of its own, and a slide is few tasks in a row, so that few machines copy it; on HDFS, too, a
slide is many blocks on many machines, and all of them are needed.
"""

import os
import posixpath
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from fsspec.callbacks import Callback

from cluster.cache_folder import Held, NoRoomError, this_machines_cache
from cluster.closing import Closing
from cluster.errors import UsageError
from cluster.sign_of_life import still_alive
from cluster.storage import Store, split_name

_TRIES: Final = 3
_PAUSE: Final = 1.0  # seconds before the second try, twice that before the third
_VERSIONS: Final = (
    "ETag",
    "etag",
    "mtime",
    "modification_time",
    "LastModified",
    "last_modified",
    "modified",
    "updated",
)

Beside = Callable[[Store, str], Iterable[str]]
"""Which files a file needs beside it: from its folder and name, their names below that folder."""


class CopyError(Exception):
    """A file cannot be had on this machine: one line with cause and remedy."""


@dataclass(frozen=True)
class Source:
    """A file that is copied.

    Attributes:
        name: below the folder of the copy.
        path: within its file system.
        size: bytes.
        version: another one after every change.
    """

    name: str
    path: str
    size: int
    version: str


class LocalCopy(Closing):
    """A file on this machine, which stays until this is closed.

    Attributes:
        path: of it.
    """

    def __init__(self, path: str, held: Held | None = None) -> None:
        self.path = path
        self._held = held

    def close(self) -> None:
        """Give the copy free to be removed."""
        if self._held is not None:
            self._held.close()


def nothing_beside(folder: Store, name: str) -> Iterable[str]:
    """For files that need no others."""
    del folder, name
    return ()


def local_copy(uri: str, beside: Beside = nothing_beside) -> LocalCopy:
    """Copy a file from wherever it lies, with what it needs beside it, unless that is already done.

    Every call asks the store for the state of the files (size, and ETag or time of the last change); another state is
    another copy.

    Args:
        uri: of the file; not a local one.
        beside: names of the others.

    Returns:
        The copy, to be closed. Memory: some parts of the file on their way.

    Raises:
        CopyError: it is not there, cannot be read, changes meanwhile, or there is no room.
    """
    folder_uri, name = split_name(uri)
    with _told(uri):
        folder = Store(folder_uri)
        sources = _sources(folder, name, beside)
        known = repr([folder_uri, *((source.name, source.size, source.version) for source in sources)])

        def fill(place: Path) -> None:
            _fill(place, folder, sources, lambda: _sources(folder, name, beside))

        held = this_machines_cache().held(known, sum(source.size for source in sources), fill)
    return LocalCopy(str(held.folder / name), held)


def remote_state(uri: str) -> tuple[int, str] | None:
    """Size and version of a file elsewhere; None where it is not there.

    Raises:
        CopyError: the store does not say.
    """
    folder, name = split_name(uri)
    with _told(uri):
        try:
            source = _source(Store(folder), name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return source.size, source.version


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """Whatever a driver raises, in one line."""
    try:
        yield
    except CopyError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CopyError(f"{uri} does not exist") from error
    except PermissionError as error:
        raise CopyError(f"{uri} may not be read: {_said(error)}; ask its owner, or check the credentials") from error
    except (NoRoomError, UsageError) as error:
        raise CopyError(f"{uri} cannot be copied to this machine: {error}") from error
    except Exception as error:  # drivers have errors of their own: no network, no credentials, a wrong address
        raise CopyError(f"{uri} cannot be copied to this machine: {_said(error)}; mend that and run again") from error


def _sources(folder: Store, name: str, beside: Beside) -> list[Source]:
    first = _source(folder, name)
    return [first, *(_source(folder, other) for other in sorted(set(beside(folder, name)) - {name}))]


def _source(folder: Store, name: str) -> Source:
    path = folder.path(name)
    if ".." in PurePosixPath(name).parts:
        raise CopyError(f"{folder.uri}/{name} leads out of its folder, and is not copied")
    facts: dict[str, Any] = folder.fs.info(path)
    if facts["type"] == "directory":
        raise CopyError(f"{folder.uri}/{name} is a folder, no file")
    return Source(name, path, int(facts["size"]), version_of(facts))


def version_of(facts: Mapping[str, Any]) -> str:
    """What changes when a file is written again, from what its file system says of it."""
    return next((str(facts[key]) for key in _VERSIONS if facts.get(key) is not None), "")


def _fill(place: Path, folder: Store, sources: Sequence[Source], look: Callable[[], Sequence[Source]]) -> None:
    for source in sources:
        _fetch(source, folder, place / source.name)
    if list(look()) != list(sources):
        raise CopyError(f"{folder.uri}/{sources[0].name} changed while it was copied; run again when it is complete")


def _fetch(source: Source, folder: Store, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, _TRIES + 1):
        try:
            folder.fs.get_file(source.path, str(target), callback=_Alive())
        except (FileNotFoundError, PermissionError):
            raise
        except Exception:
            if attempt == _TRIES:
                raise
        else:
            if target.stat().st_size == source.size:
                break
            if attempt == _TRIES:
                raise CopyError(f"{folder.uri}/{source.name} came shorter than it is, {_TRIES} times; run again")
        time.sleep(_PAUSE * attempt)
    with target.open("rb") as written:
        os.fsync(written.fileno())


class _Alive(Callback):  # type: ignore[misc]
    """Every part that comes is a sign of life."""

    def call(self, *_: Any, **__: Any) -> None:
        still_alive()


def _said(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, OSError) else f"{type(error).__name__}: {text}"


def in_folder(folder: Store, name: str) -> list[str]:
    """Names of all files in a folder beside a file, below the file's own folder.

    Args:
        folder: of the file.
        name: of the folder in it.
    """
    return [posixpath.relpath(path, folder.root) for path in folder.files(name)]
