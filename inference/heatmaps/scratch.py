"""Room on the local disk for what does not fit into memory: pieces of equal size in one file that nobody else sees."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.closing import Closing
from preprocessing.errors import SlideError


class ScratchError(SlideError):
    """The temporary folder of this machine cannot take what a slide needs."""


@contextmanager
def scratch_errors() -> Iterator[None]:
    """Put around work on temporary files.

    Raises:
        ScratchError: instead of the error of the file system, with the remedy.
    """
    try:
        yield
    except OSError as error:
        raise ScratchError(
            f"the temporary folder {tempfile.gettempdir()} cannot be used ({error.strerror or error}); make room "
            "there, or set TMPDIR to a folder with more, on every worker"
        ) from error


class Scratch(Closing):
    """A temporary file of numbered pieces, to be closed; it has no name, so even a killed process leaves nothing.

    Plain reads and writes: a memory map would count as the process's memory, as far as it was touched.

    Args:
        piece: bytes of a piece.
    """

    def __init__(self, piece: int) -> None:
        self.piece = piece
        with scratch_errors():
            self._file = tempfile.TemporaryFile(prefix="histospark-", buffering=0)  # noqa: SIM115 - closed by `close`

    def write(self, number: int, data: bytes | memoryview) -> None:
        """Write a whole piece.

        Raises:
            ScratchError: no space left.
        """
        with scratch_errors():
            done, place = 0, number * self.piece
            while done < self.piece:
                done += os.pwrite(self._file.fileno(), data[done:], place + done)

    def read(self, number: int) -> bytes:
        """A whole piece; zeros where it was never written."""
        with scratch_errors():
            data = os.pread(self._file.fileno(), self.piece, number * self.piece)
        return data.ljust(self.piece, b"\0")

    def close(self) -> None:
        """Give the room back."""
        self._file.close()
