"""What kinds of file systems differ in: how something gets its place at once, and who comes first."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final

TEMPORARY: Final = "_tmp-"
"""How names of files begin that are not yet whole: hidden from readers, and cleared after a crash."""


class FileSystem(ABC):
    """The few steps of our tables that each kind of store does in its own way; all paths are inside of it.

    Attributes:
        fs: of fsspec, for all else.
        renames: a folder gets its place in one step; where not, a manifest has to say what is whole.
    """

    renames: ClassVar[bool]

    def __init__(self, fs: Any) -> None:
        self.fs = fs

    @abstractmethod
    def make_folder(self, path: str) -> None:
        """Make a folder and those above it, if they are not there; stores without folders do nothing."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file or folder, if it is there."""

    @abstractmethod
    def move(self, source: str, target: str) -> None:
        """Move a file, in place of one that is there, or a folder, which must not be there; makes folders above it.

        Raises:
            FileNotFoundError: nothing is there.
        """

    @abstractmethod
    def new_file(self, path: str, temporary: str) -> AbstractContextManager[Any]:
        """A file for Arrow to write, which gets its name at the end of the block, or never where that raises.

        It tells by `tell` how much was written.

        Args:
            path: in place of what is there.
            temporary: its name until then, where files show while they are written; its folder must be there.

        Raises:
            OSError: the store refuses.
        """

    @abstractmethod
    def create(self, data: bytes, path: str) -> bool:
        """Write a small file unless it is there: of many that try at once, one succeeds. Returns whether it is ours."""

    @abstractmethod
    def touch(self, path: str) -> None:
        """Set the time of a file to now, by the clock of the store.

        Raises:
            FileNotFoundError: it is not there.
        """

    def modified(self, path: str) -> float:
        """When a file was written or touched, by the clock of the store: seconds since 1970.

        Raises:
            FileNotFoundError: it is not there.
        """
        return float(self.fs.modified(path).timestamp())

    def sync(self, path: str) -> None:
        """Make a file, or the names in a folder, survive a power cut; what other machines keep does so by itself."""
        del path
