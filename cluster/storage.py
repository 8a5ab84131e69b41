"""Folders and files by URI: the one place that knows file systems.

Built on fsspec, whose drivers speak file, hdfs and s3 alike.
"""

import posixpath
import uuid
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs


class Store:
    """A folder by URI, with the few steps that our tables need.

    Attributes:
        uri: as given, without a slash at the end.
        root: the path inside its file system.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/") or "/"
        self.fs: Any
        self.fs, root = url_to_fs(self.uri)
        self.root = posixpath.normpath(str(root))  # a relative local path is absolute by now

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
        """Folders that match a pattern below this one, sorted."""
        return sorted(str(path) for path in self.fs.glob(self.path(pattern)))

    def remove(self, *parts: str) -> None:
        """Remove a file or folder, if it is there."""
        if self.exists(*parts):
            self.fs.rm(self.path(*parts), recursive=True)

    def move(self, source: str, target: str) -> None:
        """Move a file or folder below this one in one step; `target` must not exist as a folder."""
        self.fs.makedirs(posixpath.dirname(self.path(target)), exist_ok=True)
        if "file" in self.fs.protocol:
            Path(self.path(source)).replace(self.path(target))  # one rename, where fsspec might copy
        else:
            self.fs.mv(self.path(source), self.path(target), recursive=True)

    def write_bytes(self, data: bytes, *parts: str) -> None:
        """Write a small file under a temporary name and rename it, so that it is whole or not there."""
        target = posixpath.join(*parts)
        temporary = f"{posixpath.dirname(target)}/_{uuid.uuid4().hex}".lstrip("/")
        self.fs.makedirs(posixpath.dirname(self.path(target)), exist_ok=True)
        with self.fs.open(self.path(temporary), "wb") as file:
            file.write(data)
        self.move(temporary, target)

    def read_bytes(self, *parts: str) -> bytes:
        """Read a small file whole."""
        return bytes(self.fs.cat_file(self.path(*parts)))
