"""Folders and files by URI: the one place that knows file systems.

Built on fsspec, whose drivers speak file, hdfs and s3 alike. What the kinds do differently is in `local_disk`, `hdfs`
and `object_store`.
"""

import glob
import posixpath
import uuid
from contextlib import AbstractContextManager
from typing import Any, Final

from fsspec.core import url_to_fs

from cluster.errors import UsageError
from cluster.file_system import TEMPORARY, FileSystem
from cluster.hdfs import Hdfs
from cluster.local_disk import LocalDisk
from cluster.object_store import ObjectStore

__all__ = ["TEMPORARY", "Store", "split_name"]

_KINDS: Final[dict[str, type[FileSystem]]] = {"file": LocalDisk, "hdfs": Hdfs, "viewfs": Hdfs}
_DRIVERS: Final = {"s3": "s3", "s3a": "s3", "hdfs": "hdfs", "viewfs": "hdfs"}
# Drivers that remember listings show neither what other machines have changed nor what they did a moment ago.
_SETTINGS: Final[dict[str, dict[str, Any]]] = {scheme: {"use_listings_cache": False} for scheme in ("s3", "s3a")}


class Store:
    """A folder by URI, with the few steps that our tables need.

    Attributes:
        uri: as given, without a slash at the end.
        fs: the driver, of fsspec.
        root: the path inside its file system.
        is_local: on a disk (or a mounted share) of this machine.
        renames: a folder gets its place in one step; where not, a manifest says what is whole.

    Raises:
        UsageError: no driver for it.
    """

    def __init__(self, uri: str) -> None:
        scheme, mark, rest = uri.partition("://")
        self.uri = f"{scheme}://{rest.rstrip('/')}" if mark else uri.rstrip("/") or "/"
        fs, root = _opened(self.uri)
        self.fs: Any = fs
        protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
        kind = next((_KINDS[name] for name in protocols if name in _KINDS), ObjectStore)
        self._system = kind(fs)
        self.root = posixpath.normpath(root)  # a relative local path is absolute by now
        self.is_local = kind is LocalDisk
        self.renames = kind.renames

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
        self._system.make_folder(self.path(*parts))

    def remove(self, *parts: str) -> None:
        """Remove a file or folder, if it is there."""
        self._system.remove(self.path(*parts))

    def move(self, source: str, target: str) -> None:
        """Move a file or folder below this one, in one step where the store `renames`.

        Args:
            source: below this folder.
            target: a file is replaced, a folder must not be there.

        Raises:
            FileNotFoundError: nothing is there.
        """
        self._system.move(self.path(source), self.path(target))

    def new_file(self, name: str, temporary: str) -> AbstractContextManager[Any]:
        """A file for Arrow to write, which gets its name at the end of the block, or never where that raises.

        On a local disk it survives a power cut from then on, if the folder was synced.

        Args:
            name: of the file; one that is there is replaced.
            temporary: its name until then, where files show while they are written; its folder must be there.

        Raises:
            OSError: the store refuses.
        """
        return self._system.new_file(self.path(name), self.path(temporary))

    def sync(self, *parts: str) -> None:
        """Make a file, or the names in a folder, survive a power cut; other stores than disks do so by themselves."""
        self._system.sync(self.path(*parts))

    def write_bytes(self, data: bytes, *parts: str) -> None:
        """Write a small file so that it is whole or not there; on a local disk it survives a power cut from here on."""
        target = posixpath.join(*parts)
        folder = posixpath.dirname(target)
        self.make_folder(folder)
        with self.new_file(target, posixpath.join(folder, f"{TEMPORARY}{uuid.uuid4().hex}")) as file:
            file.write(data)
        self.sync(folder)

    def read_bytes(self, *parts: str) -> bytes:
        """Read a small file whole."""
        return bytes(self.fs.cat_file(self.path(*parts)))

    def create(self, data: bytes, *parts: str) -> bool:
        """Write a small file unless it is there: of many that try at once, one succeeds; the store itself decides.

        Args:
            data: unlike what any other writes.
            parts: of its path.

        Returns:
            Whether it is ours.

        Raises:
            UsageError: the store cannot decide.
        """
        target = posixpath.join(*parts)
        self.make_folder(posixpath.dirname(target))
        return self._system.create(data, self.path(target))

    def touch(self, *parts: str) -> None:
        """Set the time of a file to now, by the clock of the store.

        Raises:
            FileNotFoundError: it is not there.
        """
        self._system.touch(self.path(*parts))

    def seconds_since_touched(self, *parts: str) -> float:
        """How long ago a file was written or touched, by the clock of the store alone: it writes one to compare with.

        Raises:
            FileNotFoundError: it is not there.
        """
        probe = f"{TEMPORARY}{uuid.uuid4().hex}"
        self.fs.pipe_file(self.path(probe), b"")
        try:
            return self._system.modified(self.path(probe)) - self._system.modified(self.path(*parts))
        finally:
            self.remove(probe)


def split_name(uri: str) -> tuple[str, str]:
    """The folder of a file, and its name in there."""
    scheme, mark, rest = uri.partition("://")
    folder, slash, name = (rest if mark else uri).rpartition("/")
    if mark:
        return f"{scheme}://{folder}", name
    return folder or slash or ".", name


def _opened(uri: str) -> tuple[Any, str]:
    scheme = uri.partition("://")[0]
    try:
        fs, root = url_to_fs(uri, **_SETTINGS.get(scheme, {}))
    except ImportError as error:
        extra = _DRIVERS.get(scheme)
        remedy = f"pip install 'histospark[{extra}]'" if extra else f"{error}"
        raise UsageError(f"{uri} cannot be reached: its driver is not installed here; {remedy}") from error
    except OSError as error:
        raise UsageError(f"{uri} cannot be reached: {error}; check the address, and that the server runs") from error
    except ValueError as error:
        raise UsageError(f"{uri} cannot be reached: {error}; use a path, file://, hdfs:// or s3://") from error
    return fs, str(root)
