"""Disks and mounted shares of this machine."""

import errno
import os
import posixpath
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from cluster.file_system import TEMPORARY, FileSystem

_REMOVALS: Final = 5


class LocalDisk(FileSystem):
    """Renames, and survives a power cut by `fsync`."""

    renames = True

    def make_folder(self, path: str) -> None:
        """See `FileSystem`."""
        Path(path).mkdir(parents=True, exist_ok=True)

    def remove(self, path: str) -> None:
        """See `FileSystem`; tries again where a dying process still writes into it."""
        for attempt in range(_REMOVALS):
            try:
                if self.fs.exists(path):
                    self.fs.rm(path, recursive=True)
                return
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTEMPTY) or attempt == _REMOVALS - 1:
                    raise

    def move(self, source: str, target: str) -> None:
        """See `FileSystem`: one rename, where fsspec might copy."""
        start, end = Path(source), Path(target)
        try:
            start.replace(end)
        except FileNotFoundError:
            start.lstat()  # what is not there makes no folders for itself
            end.parent.mkdir(parents=True, exist_ok=True)
            start.replace(end)

    @contextmanager
    def new_file(self, path: str, temporary: str) -> Iterator[Any]:
        """See `FileSystem`. Without Python between Arrow and the disk, which Arrow calls often."""
        try:
            with pa.OSFile(temporary, "wb") as file:
                yield file
            self.sync(temporary)
            self.move(temporary, path)
        except BaseException:
            self.remove(temporary)  # what is half written would take the space from others
            raise

    def create(self, data: bytes, path: str) -> bool:
        """See `FileSystem`."""
        temporary = posixpath.join(posixpath.dirname(path), f"{TEMPORARY}{uuid.uuid4().hex}")
        Path(temporary).write_bytes(data)
        self.sync(temporary)
        try:
            os.link(temporary, path)  # never replaces, and the file is whole from the start
        except FileExistsError:
            return False
        finally:
            self.remove(temporary)
        return True

    def touch(self, path: str) -> None:
        """See `FileSystem`."""
        os.utime(path)

    def sync(self, path: str) -> None:
        """See `FileSystem`."""
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
