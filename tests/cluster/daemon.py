"""One server's process, with all it starts."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_KEEPER: Final = Path(__file__).with_name("keeper.py")


class Daemon:
    """A running server.

    Args:
        name: for people.
        command: program and arguments.
        log: gets its output.
        environment: all of it.

    Attributes:
        pid: of the server itself.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name, self.log = name, log
        with log.open("w") as file:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_KEEPER), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=file, env=dict(environment), cwd=log.parent, start_new_session=True,
            )  # fmt: skip
        assert self._keeper.stdout is not None
        with self._keeper.stdout as said:
            self.pid = int(said.readline())

    def is_alive(self) -> bool:
        """Whether the server itself runs."""
        return Path(f"/proc/{self.pid}").exists()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send the server a signal; what it started is left alone, as when a server crashes."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def power_off(self) -> None:
        """End the server with all that it started, at once, as when its machine loses power."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait()
