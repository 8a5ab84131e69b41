"""Where files lie, how large and how new they are: many files with few requests, by URI."""

import os
import posixpath
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from cluster.errors import UsageError
from cluster.storage import Store

# From this many wanted files on, a folder is listed as a whole instead of being asked for each.
_WORTH_A_LISTING: Final = 10
# Under what name file systems list the time of the last change: local, hdfs, s3, azure, http, google.
_TIMES: Final = ("mtime", "modification_time", "LastModified", "last_modified", "modified", "updated")

FileState = tuple[int, str]
"""Bytes, and the time of the last change as text."""
_DANGLING: Final = (-1, "link to nowhere")  # it stays in the list, to fail by name when it is opened


def absolute(uri: str) -> str:
    """A place in the one form in which places are compared: a local path in full, else the URI as it is."""
    scheme, mark, rest = uri.partition("://")
    if mark and scheme not in {"file", "local"}:
        return uri
    return os.path.abspath(os.path.expanduser(rest if mark else uri))


@dataclass(frozen=True)
class _FileSystem:
    """A file system and how its own names become URIs.

    Attributes:
        fs: of fsspec.
        root: start of its URIs, `scheme://host/` or `/`.
        prefix: start of its own names, in place of `root`.
    """

    fs: Any
    root: str
    prefix: str

    def name(self, uri: str) -> str:
        return self.prefix + uri.removeprefix(self.root)

    def uri(self, name: str) -> str:
        return self.root + name.removeprefix(self.prefix)


class FileStates:
    """Looks at files; every folder is listed at most once, so what it says is of one moment.

    Memory: about 300 bytes a file of the listed folders.
    """

    def __init__(self) -> None:
        self._systems: dict[str, _FileSystem] = {}
        self._listed: dict[str, dict[str, FileState]] = {}

    def folder(self, uri: str) -> dict[str, FileState]:
        """The files of a folder, not of folders in it, by `absolute` URI; none where it does not exist.

        Raises:
            UsageError: the folder may not be listed.
        """
        uri = absolute(uri).rstrip("/") or "/"
        if uri not in self._listed:
            system = self._system(uri)
            try:
                infos = system.fs.ls(system.name(uri), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                infos = []
            except PermissionError as error:
                raise UsageError(
                    f"folder {uri} cannot be listed: {error.strerror}; give this user the right"
                ) from error
            states = ((system.uri(str(info["name"])), _state(system.fs, info)) for info in infos)
            self._listed[uri] = {name: state for name, state in states if state is not None}
        return self._listed[uri]

    def states(self, uris: Iterable[str]) -> dict[str, FileState]:
        """The state of each of many files, given as `absolute` URIs; files that do not exist are left out."""
        wanted = defaultdict(set)
        for uri in uris:
            wanted[posixpath.dirname(uri)].add(uri)
        found = {}
        for folder, names in wanted.items():
            if folder in self._listed or len(names) >= _WORTH_A_LISTING:
                listed = self.folder(folder)
                found.update({name: listed[name] for name in names if name in listed})
            else:
                found.update({name: state for name in names if (state := self._single(name)) is not None})
        return found

    def is_folder(self, uri: str) -> bool:
        """Whether a folder is there."""
        system = self._system(absolute(uri))
        return bool(system.fs.isdir(system.name(absolute(uri))))

    def glob(self, pattern: str) -> list[str]:
        """URIs that match a pattern, in no order."""
        system = self._system(absolute(pattern))
        return [system.uri(str(name)) for name in system.fs.glob(system.name(absolute(pattern)))]

    def _single(self, uri: str) -> FileState | None:
        system = self._system(uri)
        try:
            return _state(system.fs, system.fs.info(system.name(uri)))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None

    def _system(self, uri: str) -> _FileSystem:
        """The file system of a URI, opened once: opening one for each of 100,000 files would take longer than all."""
        scheme, mark, rest = uri.partition("://")
        host, _, inner = rest.partition("/") if mark else ("", "", uri.removeprefix("/"))
        root = f"{scheme}://{host}/" if mark else "/"
        if root not in self._systems:
            store = Store(uri)
            store.fs.invalidate_cache()  # some drivers remember what they listed earlier in this process
            self._systems[root] = _FileSystem(store.fs, root, _prefix(store.root, posixpath.normpath(inner)))
        return self._systems[root]


def _prefix(name: str, inner: str) -> str:
    """What a file system puts before the part of a URI that follows the host."""
    prefix = name if inner == "." else name.removesuffix(inner)
    return prefix if prefix.endswith("/") or not prefix else f"{prefix}/"


def _state(fs: Any, info: dict[str, Any]) -> FileState | None:
    """From what a file system says of a file; None for a folder."""
    if info.get("islink"):  # the listing shows the link's own time
        try:
            info = fs.info(info["name"])
        except FileNotFoundError:
            return _DANGLING
    if info["type"] == "directory":
        return None
    time = next((info[name] for name in _TIMES if info.get(name) is not None), None)
    if time is None:
        time = _modified(fs, str(info["name"]))
    return int(info["size"] or 0), f"{time:.6f}" if isinstance(time, float) else str(time)


def _modified(fs: Any, name: str) -> str:
    try:
        return str(fs.modified(name))
    except NotImplementedError:  # a web server, for instance: then the size alone tells
        return ""
