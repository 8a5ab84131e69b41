"""HDFS, through hdfs-native: its own protocol without a JVM, at home in every Python worker.

Where the name node is, is read from `HADOOP_CONF_DIR` (core-site.xml, hdfs-site.xml), as Hadoop's own tools do. A small
file takes half a second to close, as the driver waits that long for the data nodes; large ones do not.
"""

import posixpath
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from fsspec import register_implementation

from cluster.file_system import TEMPORARY, FileSystem

for _scheme, _driver in (("hdfs", "MendedHdfs"), ("viewfs", "MendedViewfs")):
    register_implementation(_scheme, f"cluster.hdfs_driver.{_driver}", clobber=True, errtxt="hdfs-native is missing")


class _Counting:
    """A file being written that can tell how far it is, as those of the driver cannot."""

    def __init__(self, file: Any) -> None:
        self._file, self._written = file, 0

    def write(self, data: Any) -> int:
        count = int(self._file.write(data))
        self._written += count
        return count

    def tell(self) -> int:
        return self._written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class Hdfs(FileSystem):
    """Renames at once, and keeps what was closed."""

    renames = True

    def make_folder(self, path: str) -> None:
        """See `FileSystem`."""
        self.fs.makedirs(path, exist_ok=True)

    def remove(self, path: str) -> None:
        """See `FileSystem`."""
        with suppress(FileNotFoundError):
            self.fs.rm(path, recursive=True)

    def move(self, source: str, target: str) -> None:
        """See `FileSystem`: one step of the name node."""
        try:
            self.fs.mv(source, target, overwrite=True)
        except FileNotFoundError:
            self.fs.info(source)  # what is not there makes no folders for itself
            self.make_folder(posixpath.dirname(target))
            self.fs.mv(source, target, overwrite=True)

    @contextmanager
    def new_file(self, path: str, temporary: str) -> Iterator[Any]:
        """See `FileSystem`."""
        try:
            with self.fs.open(temporary, "wb") as file:
                yield _Counting(file)
            self.move(temporary, path)
        except RuntimeError as error:  # of the driver, whose files know no other
            self.remove(temporary)
            raise OSError(str(error).splitlines()[0]) from error
        except BaseException:
            self.remove(temporary)
            raise

    def create(self, data: bytes, path: str) -> bool:
        """See `FileSystem`: a rename that refuses to replace, so that the file is whole from the start."""
        temporary = posixpath.join(posixpath.dirname(path), f"{TEMPORARY}{uuid.uuid4().hex}")
        try:
            self.fs.pipe_file(temporary, data)
            self.fs.mv(temporary, path)
        except FileExistsError:
            return False
        finally:
            self.remove(temporary)
        return True

    def touch(self, path: str) -> None:
        """See `FileSystem`: with the time that the name node gave a new file, as this machine's clock may go wrong."""
        probe = posixpath.join(posixpath.dirname(path), f"{TEMPORARY}{uuid.uuid4().hex}")
        try:
            self.fs.pipe_file(probe, b"")
            now = self.fs.info(probe)["modification_time"]
            self.fs.client.set_times(path, now, now)
        finally:
            self.remove(probe)
