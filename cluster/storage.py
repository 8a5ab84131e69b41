"""Folders and files by URI: the one place that knows file systems.

Built on fsspec, whose drivers speak file, hdfs and s3 alike.
"""

import errno
import glob
import os
import posixpath
import time
import uuid
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from fsspec.core import url_to_fs

TEMPORARY: Final = "_tmp-"
"""How names of files begin that are not yet whole: hidden from readers, and cleared after a crash."""

_SETTLES: Final = 2.0  # seconds within which writers of the same file meet, on stores that do not decide themselves
_REMOVALS: Final = 5


class Store:
    """A folder by URI, with the few steps that our tables need.

    Attributes:
        uri: as given, without a slash at the end.
        root: the path inside its file system.
        is_local: on a disk (or a mounted share) of this machine.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/") or "/"
        self.fs: Any
        self.fs, root = url_to_fs(self.uri)
        self.root = posixpath.normpath(str(root))  # a relative local path is absolute by now
        self.is_local = "file" in self.fs.protocol

    def path(self, *parts: str) -> str:
        """Path of something below this folder, inside its file system."""
        return posixpath.join(self.root, *parts)

    def exists(self, *parts: str) -> bool:
        """Whether a file or folder is there."""
        return bool(self.fs.exists(self.path(*parts)))

    def files(self, *parts: str) -> list[str]:
        """All files below a folder, sorted; none where the folder does not exist."""
        return sorted(self.fs.find(self.path(*parts))) if self.exists(*parts) else []

    def folders(self, pattern: str) -> list[str]:
        """Files and folders that match a pattern below this one, sorted."""
        return sorted(str(path) for path in self.fs.glob(posixpath.join(glob.escape(self.root), pattern)))

    def names(self, *parts: str) -> list[str]:
        """Names of what lies directly in a folder, sorted; none where the folder does not exist."""
        try:
            return sorted(posixpath.basename(str(path)) for path in self.fs.ls(self.path(*parts), detail=False))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def make_folder(self, *parts: str) -> None:
        """Make a folder, if it is not there; stores without folders do nothing."""
        self.fs.makedirs(self.path(*parts), exist_ok=True)

    def remove(self, *parts: str) -> None:
        """Remove a file or folder, if it is there; tries again where a dying process still writes into it."""
        for attempt in range(_REMOVALS):
            try:
                if self.exists(*parts):
                    self.fs.rm(self.path(*parts), recursive=True)
                return
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTEMPTY) or attempt == _REMOVALS - 1:
                    raise

    def move(self, source: str, target: str) -> None:
        """Move a file or folder below this one in one step; `target` must not exist as a folder."""
        if not self.is_local:
            self.fs.makedirs(posixpath.dirname(self.path(target)), exist_ok=True)
            self.fs.mv(self.path(source), self.path(target), recursive=True)
            return
        start, end = Path(self.path(source)), Path(self.path(target))
        try:
            start.replace(end)  # one rename, where fsspec might copy
        except FileNotFoundError:
            start.lstat()  # what is not there makes no folders for itself
            end.parent.mkdir(parents=True, exist_ok=True)
            start.replace(end)

    def open_new(self, *parts: str) -> Any:
        """A file for Arrow to write, as a context manager; on a disk without Python in between, which it calls often.

        Raises:
            OSError: its folder is not there, or the store refuses.
        """
        return pa.OSFile(self.path(*parts), "wb") if self.is_local else self.fs.open(self.path(*parts), "wb")

    def sync(self, *parts: str) -> None:
        """Make a file, or the names in a folder, survive a power cut; other stores than disks do so by themselves."""
        if self.is_local:
            handle = os.open(self.path(*parts), os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def write_bytes(self, data: bytes, *parts: str) -> None:
        """Write a small file under a temporary name and rename it, so that it is whole or not there.

        On a local disk it survives a power cut from here on.
        """
        target = posixpath.join(*parts)
        folder = posixpath.dirname(target)
        temporary = posixpath.join(folder, f"{TEMPORARY}{uuid.uuid4().hex}")
        self.make_folder(folder)
        self._write_synced(data, temporary)
        self.move(temporary, target)
        self.sync(folder)

    def read_bytes(self, *parts: str) -> bytes:
        """Read a small file whole."""
        return bytes(self.fs.cat_file(self.path(*parts)))

    def create(self, data: bytes, *parts: str) -> bool:
        """Write a small file unless it is there: of many that try at once, one succeeds.

        A disk decides by itself. On other stores the last writer wins, and each looks after a while who that was;
        one that needs longer than that while between its look and its write could win unseen.

        Args:
            data: unlike what any other writes.
            parts: of its path.

        Returns:
            Whether it is ours.
        """
        target = posixpath.join(*parts)
        self.make_folder(posixpath.dirname(target))
        if not self.is_local:
            if self.exists(target):
                return False
            self.fs.pipe_file(self.path(target), data)
            time.sleep(_SETTLES)
            return self.read_bytes(target) == data
        temporary = posixpath.join(posixpath.dirname(target), f"{TEMPORARY}{uuid.uuid4().hex}")
        self._write_synced(data, temporary)
        try:
            os.link(self.path(temporary), self.path(target))  # never replaces, and the file is whole from the start
        except FileExistsError:
            return False
        finally:
            self.remove(temporary)
        return True

    def touch(self, *parts: str) -> None:
        """Set the time of a file to now, by the clock of the store.

        Raises:
            FileNotFoundError: it is not there.
        """
        if self.is_local:
            os.utime(self.path(*parts))
        else:
            self.fs.pipe_file(self.path(*parts), self.read_bytes(*parts))

    def seconds_since_touched(self, *parts: str) -> float:
        """How long ago a file was written or touched, by the clock of the store alone: it writes one to compare with.

        Raises:
            FileNotFoundError: it is not there.
        """
        probe = f"{TEMPORARY}{uuid.uuid4().hex}"
        self.fs.pipe_file(self.path(probe), b"now")
        try:
            passed = self.fs.modified(self.path(probe)) - self.fs.modified(self.path(*parts))
            return float(passed.total_seconds())
        finally:
            self.remove(probe)

    def _write_synced(self, data: bytes, name: str) -> None:
        with self.fs.open(self.path(name), "wb") as file:
            file.write(data)
            if self.is_local:
                sync_file(file)


def sync_file(file: Any) -> None:
    """Put what was written into an open local file onto the disk: else a power cut leaves a file by name, but empty."""
    file.flush()
    os.fsync(file.fileno())
