"""hdfs-native's driver for fsspec, with some of its ways mended (0.14.7, tried on a real name node).

* What follows a `#` or `?` in a name was cut off, so that two slides could be written over each other.
* What the name node refuses came as a RuntimeError with pages of Java.
* A wrong address took three minutes to be refused.
* A process that forked (as Spark's Java is started) hung for ever: fsspec lets go of its drivers in the child, where a
  client waits for threads that are not there. So the client outlives its driver.
* The time of a change came without a time zone.
"""

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from hdfs_native.fsspec import HdfsFileSystem, ViewfsFileSystem

_CONNECTS_WITHIN: Final = 20.0  # seconds
_clients: Final[list[Any]] = []  # one an address
_NO_RIGHT: Final = ("AccessControlException", "AuthorizationException")


class _Mended:
    """What both drivers share; `super` is the driver."""

    def __init__(self, host: str | None = None, port: int | None = None, **settings: Any) -> None:
        if host and port:
            with socket.create_connection((host, port), timeout=_CONNECTS_WITHIN):
                pass  # somebody is there
        super().__init__(host, port, **settings)  # type: ignore[call-arg]
        _clients.append(self.client)
        self.client: Any = _Telling(self.client)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        _, mark, rest = str(path).partition("://")
        inner = f"/{rest.partition('/')[2]}" if mark else str(path)
        return inner.rstrip("/") or "/"

    def modified(self, path: str) -> datetime:
        """When a file was changed, by the clock of the name node."""
        facts = self.client.get_file_info(self._strip_protocol(path))
        return datetime.fromtimestamp(facts.modification_time / 1000, UTC)


class MendedHdfs(_Mended, HdfsFileSystem):
    """For `hdfs://`."""


class MendedViewfs(_Mended, ViewfsFileSystem):
    """For `viewfs://`."""


class _Telling:
    """A client whose refusals are errors of the system's own kinds, one line each."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return _telling(getattr(self._client, name))


def _telling(method: Callable[..., Any]) -> Callable[..., Any]:
    def told(*arguments: Any, **settings: Any) -> Any:
        try:
            return method(*arguments, **settings)
        except RuntimeError as error:
            raise told_by(error) from error

    return told


def told_by(error: RuntimeError) -> OSError:
    """What a name node or data node has refused, in the line before its Java."""
    line = str(error).replace("\\n", "\n").splitlines()[0]
    return PermissionError(line) if any(name in line for name in _NO_RIGHT) else OSError(line)
