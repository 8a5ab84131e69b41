"""Where the JPEG tiles of each level of a tiled TIFF lie, for the two formats that are read directly.

Levels are what OpenSlide takes as levels. Generic TIFF: the first directory and every tiled one marked as a reduced
image, the widest first. Aperio SVS: every tiled directory, in the order of the file.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from preprocessing.errors import SlideOpenError, SlideReadError
from preprocessing.readers.jpeg_splice import frame_marker, stand_alone_head
from preprocessing.readers.tiff_directory import Directory, TiffFile

APERIO, GENERIC = "aperio", "generic-tiff"
SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, DESCRIPTION = 254, 256, 257, 258, 259, 262, 270
SAMPLES, PLANES, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_SIZES, JPEG_TABLES = 277, 284, 322, 323, 324, 325, 347
_JPEG, _RGB, _YCBCR = 7, 2, 6
_CODECS = {1: "no", 5: "LZW", 6: "old JPEG", 8: "Deflate", 32946: "Deflate", 33003: "JPEG 2000", 33005: "JPEG 2000"}
MAX_TILE_SIDE = 4096


class NotDirectError(SlideOpenError):
    """The slide is none of those that are read directly; the message is the reason, without the name of the slide."""


@dataclass(frozen=True)
class TileLevel:
    """One level. Memory: 16 bytes a tile at most, once its tiles are asked for.

    Attributes:
        width, height: pixels.
        tile_width, tile_height: pixels.
        head: what makes a stored tile a JPEG file of its own (`jpeg_splice.stand_alone`).
    """

    width: int
    height: int
    tile_width: int
    tile_height: int
    head: bytes
    _file: TiffFile
    _directory: Directory

    @property
    def columns(self) -> int:
        """Tiles in a row."""
        return -(-self.width // self.tile_width)

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.height // self.tile_height)

    @cached_property
    def frame(self) -> bytes:
        """How a stored tile says its size."""
        return frame_marker(self.tile_width, self.tile_height)

    @cached_property
    def offsets(self) -> NDArray[np.uint64]:
        """(rows * columns,) place of each tile, bytes from the start of the file; in the type of the file."""
        return self._values(TILE_OFFSETS)

    @cached_property
    def sizes(self) -> NDArray[np.uint64]:
        """(rows * columns,) bytes of each tile; 0 where the slide has none."""
        return self._values(TILE_SIZES)

    def _values(self, code: int) -> NDArray[np.uint64]:
        values: NDArray[np.uint64] = self._file.values(self._directory[code])  # type: ignore[assignment]
        return values


def is_aperio(file: TiffFile, first: Directory) -> bool:
    """Whether the slide is an Aperio SVS, as the description of its first directory says."""
    return file.text(first, DESCRIPTION).startswith("Aperio")


def tile_levels(file: TiffFile, directories: list[Directory]) -> tuple[TileLevel, ...]:
    """The levels of a slide, finest first.

    Raises:
        NotDirectError: a level is not made of JPEG tiles in RGB or YCbCr.
        SlideReadError: the file is damaged.
    """
    if TILE_WIDTH not in directories[0]:
        raise NotDirectError("it has no tiles")
    tiled = [directory for directory in directories if TILE_WIDTH in directory]
    if is_aperio(file, directories[0]):
        return tuple(_level(file, directory) for directory in tiled)
    reduced = [directory for directory in tiled[1:] if file.number(directory, SUBFILE_TYPE) & 1]
    levels = [_level(file, directory) for directory in (tiled[0], *reduced)]
    return tuple(sorted(levels, key=lambda level: -level.width))


def _level(file: TiffFile, directory: Directory) -> TileLevel:
    codec = file.number(directory, COMPRESSION, 1)
    if codec != _JPEG:
        raise NotDirectError(f"{_CODECS.get(codec, f'TIFF codec {codec}')} {'compression' if codec == 1 else 'tiles'}")
    photometric = file.number(directory, PHOTOMETRIC)
    if photometric not in {_RGB, _YCBCR} or file.number(directory, SAMPLES, 1) != 3:
        raise NotDirectError(f"JPEG tiles that are neither RGB nor YCbCr (photometric {photometric})")
    if file.number(directory, PLANES, 1) != 1 or file.number(directory, BITS, 1) != 8:
        raise NotDirectError("JPEG tiles of separate planes or of more than 8 bits")
    codes = (WIDTH, HEIGHT, TILE_WIDTH, TILE_HEIGHT)
    width, height, tile_width, tile_height = (file.number(directory, code) for code in codes)
    if not (width > 0 and height > 0 and 0 < tile_width <= MAX_TILE_SIDE and 0 < tile_height <= MAX_TILE_SIDE):
        raise NotDirectError(f"a level of {width}x{height} px in tiles of {tile_width}x{tile_height} px")
    tables = directory.get(JPEG_TABLES)
    try:
        head = stand_alone_head(b"" if tables is None else file.values(tables).tobytes(), photometric == _RGB)
    except SlideReadError as error:
        raise NotDirectError(str(error)) from error
    level = TileLevel(width, height, tile_width, tile_height, head, file, directory)
    for code in (TILE_OFFSETS, TILE_SIZES):
        tag = directory.get(code)
        if tag is None or tag.count != level.columns * level.rows or tag.dtype[1:] not in {"u2", "u4", "u8"}:
            raise NotDirectError(f"its list of tiles does not fit its size of {width}x{height} px")
    return level
