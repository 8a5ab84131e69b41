"""The directories of a TIFF file: where the values of each tag lie, read by position and within bounds.

Written for damaged files as for good ones: every length is held against the size of the file before memory is taken,
and chains of directories end. The long arrays of a slide (a place for each of 150,000 tiles) are not read until asked
for, and then as NumPy arrays. TIFF 6.0 and BigTIFF.
"""

import os
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cluster.closing import Closing
from preprocessing.errors import SlideError, SlideOpenError, SlideReadError

MAX_DIRECTORIES = 1024
MAX_TAGS = 4096
MAX_TEXT_BYTES = 1 << 20
# TIFF's numbers for the types of values, as NumPy names them.
_KINDS = {1: "u1", 2: "S1", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "i4", 11: "f4", 12: "f8"}
_KINDS |= {13: "u4", 16: "u8", 17: "i8", 18: "u8"}
_FRACTIONS = {5, 10}  # two whole numbers each


@dataclass(frozen=True)
class Tag:
    """Where the values of one tag lie.

    Attributes:
        dtype: of one value, byte order included.
        count: of values; a fraction is two of them.
        offset: of the first value, bytes from the start of the file.
    """

    dtype: str
    count: int
    offset: int

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return _item_size(self.dtype) * self.count


Directory = dict[int, Tag]


def _item_size(dtype: str) -> int:
    """Bytes of one value: all kinds end in that figure. To ask NumPy takes longer than to read the tag."""
    return int(dtype[-1])


class TiffFile(Closing):
    """An open TIFF file, read by position: threads and forked processes may share it.

    Args:
        path: of the file.

    Attributes:
        path: of the file.
        size: of the file, bytes.

    Raises:
        SlideOpenError: the file is missing or no TIFF.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise SlideOpenError(f"{path} cannot be opened: {error.strerror}") from error
        try:
            self.size = os.fstat(self._descriptor).st_size
            head = self.read(0, min(16, self.size))
            if head[:4] not in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"} or len(head) < 16:
                raise SlideOpenError(f"{path} is no TIFF file")
        except SlideError:
            self.close()
            raise
        self._order = "<" if head[:2] == b"II" else ">"
        self._big = b"+" in head[:4]
        self._first: int = struct.unpack_from(f"{self._order}{'Q' if self._big else 'I'}", head, 8 if self._big else 4)[
            0
        ]

    def read(self, offset: int, size: int) -> bytes:
        """The bytes at a place of the file.

        Raises:
            SlideReadError: they do not lie inside the file, or the disk fails.
        """
        if offset < 0 or offset + size > self.size:
            raise SlideReadError(
                f"{self.path} ends before byte {offset + size}, which it refers to; copy the file anew"
            )
        try:
            data = os.pread(self._descriptor, size, offset)
        except OSError as error:
            raise SlideReadError(f"{self.path} cannot be read at byte {offset}: {error.strerror}") from error
        if len(data) != size:
            raise SlideReadError(f"{self.path} became shorter while it was read; copy the file anew")
        return data

    def directories(self) -> list[Directory]:
        """The chain of directories, the first one at least.

        Raises:
            SlideReadError: the chain is damaged.
        """
        found: list[Directory] = []
        seen: set[int] = set()
        offset = self._first
        while offset:
            if offset in seen or len(found) == MAX_DIRECTORIES:
                raise SlideReadError(f"{self.path}: its directories run in a circle; copy the file anew")
            seen.add(offset)
            directory, offset = self._directory(offset)
            found.append(directory)
        if not found:
            raise SlideReadError(f"{self.path} holds no image; copy the file anew")
        return found

    def values(self, tag: Tag) -> NDArray[np.generic]:
        """All values of a tag: (count,) array.

        Memory: the values, which can be no larger than the file.
        """
        return np.frombuffer(self.read(tag.offset, tag.size), tag.dtype)

    def number(self, directory: Directory, code: int, default: int = 0) -> int:
        """The first value of a tag as a whole number; `default` where the tag is absent or no whole number."""
        tag = directory.get(code)
        if tag is None or tag.count == 0 or tag.dtype[1:] not in {"u1", "u2", "u4", "u8"}:
            return default
        return int.from_bytes(self.read(tag.offset, _item_size(tag.dtype)), "little" if self._order == "<" else "big")

    def text(self, directory: Directory, code: int) -> str:
        """A tag of characters up to its first NUL; empty where it is absent, or longer than a mebibyte."""
        tag = directory.get(code)
        if tag is None or tag.dtype[1:] not in {"S1", "u1"} or tag.size > MAX_TEXT_BYTES:
            return ""
        return self.read(tag.offset, tag.size).split(b"\0", 1)[0].decode("utf-8", "replace")

    def close(self) -> None:
        """Give the file back; reading afterwards is an error."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _directory(self, offset: int) -> tuple[Directory, int]:
        """The directory at a place, and the place of the next one (0: none)."""
        count_form, entry_form, inline = ("Q", "HHQ8s", 8) if self._big else ("H", "HHI4s", 4)
        count_size, entry_size = (8, 20) if self._big else (2, 12)
        count: int = struct.unpack(f"{self._order}{count_form}", self.read(offset, count_size))[0]
        if count > MAX_TAGS:
            raise SlideReadError(f"{self.path}: a directory claims {count} tags; copy the file anew")
        body = self.read(offset + count_size, count * entry_size + inline)
        pointer = f"{self._order}{'Q' if self._big else 'I'}"
        directory: Directory = {}
        entries = struct.iter_unpack(f"{self._order}{entry_form}", body[: count * entry_size])
        for index, (code, kind, length, value) in enumerate(entries):
            if kind not in _KINDS:
                continue
            dtype, numbers = self._order + _KINDS[kind], 2 * length if kind in _FRACTIONS else length
            place = offset + count_size + (index + 1) * entry_size - inline
            if _item_size(dtype) * numbers > inline:
                (place,) = struct.unpack(pointer, value)
            directory[code] = Tag(dtype, numbers, place)
        return directory, struct.unpack_from(pointer, body, count * entry_size)[0]
