"""Writing a pyramidal TIFF out of JPEG tiles that are there already; many places may share one tile's bytes.

tifffile writes every tile anew. A slide of 10 gigapixels of mostly glass would then take gigabytes; TIFF itself lets
any number of tiles point to the same bytes. Layout: TIFF 6.0, classic (below 4 GB), the tags of a generic tiled slide.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Final, Self

_SHORT, _LONG, _RATIONAL = 3, 4, 5
_FORMATS: Final = {_SHORT: "H", _LONG: "I", _RATIONAL: "II"}
_LARGEST = 2**32 - 1


@dataclass(frozen=True)
class Place:
    """Where a tile's bytes lie in the file: offset and number of bytes."""

    offset: int
    count: int


@dataclass(frozen=True)
class Level:
    """One level of the pyramid.

    Attributes:
        width, height: pixels.
        mpp: micrometers per pixel.
        places: of its tiles, raster order.
    """

    width: int
    height: int
    mpp: float
    places: Sequence[Place]


class TiledTiff:
    """A TIFF that is being written: tiles first, in any order; the levels, finest first, at the end.

    Args:
        file: open for writing, able to seek.
        tile: side of every tile, pixels.
    """

    def __init__(self, file: BinaryIO, tile: int) -> None:
        self._file = file
        self._tile = tile
        self._file.write(struct.pack("<2sHI", b"II", 42, 0))

    def put(self, jpeg: bytes) -> Place:
        """Append the bytes of one tile: a whole JPEG in YCbCr with halved chroma."""
        place = Place(self._file.tell(), len(jpeg))
        if place.offset + place.count > _LARGEST:
            raise ValueError("a classic TIFF holds less than 4 GB; draw a smaller slide")
        self._file.write(jpeg)
        return place

    def finish(self, levels: Sequence[Level]) -> None:
        """Write the directories.

        Args:
            levels: finest first.
        """
        link = 4  # the header's pointer to the first directory
        for number, level in enumerate(levels):
            self._pad()
            start = self._directory(level, is_reduced=number > 0)
            end = self._file.tell()
            self._file.seek(link)
            self._file.write(struct.pack("<I", start))
            self._file.seek(end)
            link = end - 4

    def _directory(self, level: Level, *, is_reduced: bool) -> int:
        per_cm = (round(1e7 / level.mpp), 1000)
        tags: list[tuple[int, int, Sequence[int]]] = [
            (254, _LONG, [int(is_reduced)]),
            (256, _LONG, [level.width]),
            (257, _LONG, [level.height]),
            (258, _SHORT, [8, 8, 8]),
            (259, _SHORT, [7]),  # JPEG
            (262, _SHORT, [6]),  # YCbCr
            (277, _SHORT, [3]),
            (282, _RATIONAL, per_cm),
            (283, _RATIONAL, per_cm),
            (284, _SHORT, [1]),
            (296, _SHORT, [3]),  # per centimeter
            (322, _LONG, [self._tile]),
            (323, _LONG, [self._tile]),
            (324, _LONG, [place.offset for place in level.places]),
            (325, _LONG, [place.count for place in level.places]),
            (530, _SHORT, [2, 2]),
        ]
        entries = [struct.pack("<HHI", tag, kind, len(values) // len(_FORMATS[kind])) for tag, kind, values in tags]
        packed = [self._value(kind, values) for _, kind, values in tags]
        self._pad()
        start = self._file.tell()
        body = b"".join(entry + value for entry, value in zip(entries, packed, strict=True))
        self._file.write(struct.pack("<H", len(tags)) + body + struct.pack("<I", 0))
        return start

    def _value(self, kind: int, values: Sequence[int]) -> bytes:
        """The four bytes of an entry: the values, or where they lie."""
        letter = _FORMATS[kind][0]
        raw = struct.pack(f"<{len(values)}{letter}", *values)
        if len(raw) <= 4:
            return raw.ljust(4, b"\0")
        self._pad()
        offset = self._file.tell()
        self._file.write(raw)
        return struct.pack("<I", offset)

    def _pad(self) -> None:
        """Values and directories start at even places."""
        if self._file.tell() % 2:
            self._file.write(b"\0")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
