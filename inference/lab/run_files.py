"""Files of one run, and no others: whatever a name says, nothing outside the run folder is opened."""

import hashlib
import os
import posixpath
import stat
from pathlib import Path
from typing import Any

from cluster.local_copies import version_of
from cluster.storage import Store
from inference.lab.not_shown import NotShownError


class RunFiles:
    """Reads files by their name below a run folder.

    Args:
        store: the run folder, on any file system.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._root = os.path.realpath(store.root) if store.is_local else store.root

    def open(self, name: str) -> Any:
        """A file, open for reading bytes.

        Args:
            name: path below the run folder.

        Raises:
            NotShownError: it is not there, is no file, or leads out of the run folder (`..`, links).
        """
        path = self._inside(name)
        try:
            return self._store.fs.open(path, "rb")
        except OSError as error:
            raise NotShownError(404, f"{name} of the run cannot be read: {error.strerror or 'no access'}") from error

    def read(self, name: str) -> bytes:
        """A small file whole; raises as `open`."""
        with self.open(name) as file:
            return bytes(file.read())

    def version(self, name: str) -> str:
        """Changes when the file is written again; raises as `open`."""
        return digest(*self._state(self._inside(name), name))

    def _inside(self, name: str) -> str:
        path = self._store.path(name)
        path = os.path.realpath(path) if self._store.is_local and "\0" not in path else posixpath.normpath(path)
        if "\0" in path or posixpath.commonpath([path, self._root]) != self._root:
            raise NotShownError(404, f"{name} leads out of the run folder, and is not shown")
        self._state(path, name)
        return path

    def _state(self, path: str, name: str) -> tuple[object, ...]:
        try:
            if not self._store.is_local:
                facts = self._store.fs.info(path)
                if facts["type"] != "file":
                    raise NotShownError(404, f"{name} of the run is no file")
                return facts["size"], version_of(facts)
            now = Path(path).stat()
        except OSError as error:
            raise NotShownError(404, f"the run has no {name}; run histospark infer again") from error
        if not stat.S_ISREG(now.st_mode):
            raise NotShownError(404, f"{name} of the run is no file")
        return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns


def digest(*facts: object) -> str:
    """A short name for a state of something, fit for addresses and ETags."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
