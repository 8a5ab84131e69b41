"""Stores that hold objects by name: S3 and its like, without folders and without a rename.

An object appears whole or not at all, so nothing needs a temporary name. Many of them never change together, so that
a manifest has to say what is whole (see `preprocessing.published_files`).
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

from cluster.errors import UsageError
from cluster.file_system import TEMPORARY, FileSystem

_REQUESTS: Final = 16  # at a time
_UNLIKE, _AT_WORK = 412, 409  # HTTP: the condition does not hold; another is just writing it
_TRIES: Final = 20


class ObjectStore(FileSystem):
    """Through s3fs, whose driver is fsspec's: pyarrow's own S3 client (14) has no conditional write, and locks need it.

    Credentials come from where AWS' tools take them (environment, `~/.aws`, the role of the machine), and the address
    of another server than Amazon's from `AWS_ENDPOINT_URL`: nothing of the kind is ever part of a URI or a recipe.
    """

    renames = False

    def __init__(self, fs: Any) -> None:
        super().__init__(fs)
        self._decides = False

    def make_folder(self, path: str) -> None:
        """Nothing: folders are but a way to write names."""

    def remove(self, path: str) -> None:
        """See `FileSystem`. One request an object: those for many at once keep quiet of what was not removed."""
        self._each(self._remove_one, self._below(path))

    def move(self, source: str, target: str) -> None:
        """See `FileSystem`: copies all on the side of the store, then removes all; a reader sees every state between.

        Raises:
            FileNotFoundError: nothing is there.
        """
        names = self._below(source)
        if not names:
            raise FileNotFoundError(f"{source} is not there")
        self._each(lambda name: self.fs.cp_file(name, target + name.removeprefix(source)), names)
        self._each(self._remove_one, names)

    @contextmanager
    def new_file(self, path: str, temporary: str) -> Iterator[Any]:
        """See `FileSystem`; memory: parts of 50 MB, that are sent while more is written.

        What a killed process had sent of a larger file shows to nobody, but takes room until the store's own rule for
        broken uploads removes it.
        """
        del temporary
        file = self.fs.open(path, "wb")
        try:
            yield file
        except BaseException:
            file.discard()
            file.closed = True  # else it would be sent after all when it is collected
            raise
        file.close()

    def create(self, data: bytes, path: str) -> bool:
        """See `FileSystem`: by a write on condition that nothing is there.

        Args:
            data: unlike what any other writes.
            path: of the object.

        Raises:
            UsageError: the store overlooks the condition.
        """
        if not self._decides:
            probe = f"{path.rpartition('/')[0]}/{TEMPORARY}{abs(hash(data)):x}"
            try:
                self._decides = self._put_new(data, probe) and not self._put_new(b"second", probe)
            finally:
                self.fs.rm_file(probe)
            if not self._decides:
                raise UsageError(
                    f"{path} lies in a store that overlooks If-None-Match, so that two jobs could write at once; "
                    "choose an --out elsewhere, or a newer server"
                )
        return self._put_new(data, path)

    def touch(self, path: str) -> None:
        """See `FileSystem`: written again, on condition that it is what was read, so that nothing is brought back.

        A copy onto itself would be shorter, but not every server counts that as a change.
        """
        data = self.fs.cat_file(path)
        etag = self.fs.info(path).get("ETag")
        try:
            self.fs.pipe_file(path, data, **({"IfMatch": etag} if etag else {}))
        except OSError as error:
            if _status(error) == _UNLIKE:
                raise FileNotFoundError(f"{path} is gone") from error
            raise

    def _put_new(self, data: bytes, path: str) -> bool:
        for _ in range(_TRIES):
            try:
                self.fs.pipe_file(path, data, mode="create")
            except OSError as error:
                status = _status(error)
                if status == _AT_WORK:
                    continue
                if status != _UNLIKE and not isinstance(error, FileExistsError):
                    raise
                return bool(self.fs.cat_file(path) == data)  # ours where an answer was lost and the write repeated
            return True
        return False

    def _below(self, path: str) -> list[str]:
        """The object of a name, or those of a folder."""
        return sorted(str(name) for name in self.fs.find(path))

    def _remove_one(self, name: str) -> None:
        try:
            self.fs.rm_file(name)
        except FileNotFoundError:
            return  # another was quicker

    def _each(self, do: Callable[[str], object], names: Sequence[str]) -> None:
        if len(names) < 2:
            for name in names:
                do(name)
            return
        with ThreadPoolExecutor(_REQUESTS) as pool:
            list(pool.map(do, names))


def _status(error: OSError) -> int | None:
    """The HTTP status behind an error of s3fs."""
    response = getattr(error.__cause__, "response", None) or {}
    return response.get("ResponseMetadata", {}).get("HTTPStatusCode")
