"""Reading JPEG tiles by their place in the file, past OpenSlide: generic tiled TIFF and Aperio SVS.

A tile is decoded by libjpeg-turbo with the settings that OpenSlide uses (accurate DCT, smooth chroma), so that pixels
are the same; `proof` sees to that once per slide.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from preprocessing.errors import SlideError, SlideReadError
from preprocessing.readers.base import Reader, Region
from preprocessing.readers.jpeg_splice import START, is_whole, stand_alone
from preprocessing.readers.tiff_directory import TiffFile
from preprocessing.readers.tiff_facts import slide_info
from preprocessing.readers.tile_cache import TileCache
from preprocessing.readers.tile_index import tile_levels

CACHE_BYTES = 64 << 20
"""Decoded tiles that were used last."""

KEPT_BYTES = 256 << 20
"""Most of those that are needed later; a slide 100,000 px wide has 166 MB of them at two scales, done as a whole."""


class DirectReader(Reader):
    """A slide whose JPEG tiles are read without OpenSlide. Threads and forked processes may share it.

    Each tile is decoded once, as long as it stays among the last 64 MB of tiles (`CACHE_BYTES`), or is known to be
    needed later (`keep`) and finds room among the 256 MB of such tiles (`KEPT_BYTES`). Where OpenSlide
    resamples, because the downsample of a level is no whole number, this reader gives the pixels of the level as they
    are stored. A tile whose JPEG is damaged is an error, also where OpenSlide shows what is left of it.

    Memory: the region that is read, 64 MB of decoded tiles, 16 bytes for each tile of a level in use. Where `keep` is
    called, the tiles that are needed later, up to 256 MB.

    Args:
        path: of the file.

    Attributes:
        decoded: tiles decoded so far.

    Raises:
        SlideOpenError: the file is missing or no TIFF.
        NotDirectError: its tiles are not such that they can be read directly.
        SlideReadError: the file is damaged.
    """

    name = "direct"

    def __init__(self, path: str) -> None:
        self.path = path
        self.decoded = 0
        self._file = TiffFile(path)
        try:
            directories = self._file.directories()
            self.levels = tile_levels(self._file, directories)
            self.info = slide_info(self._file, directories[0], self.levels)
        except SlideError:
            self._file.close()
            raise
        largest = max(3 * level.tile_width * level.tile_height for level in self.levels)
        self._cache = TileCache(CACHE_BYTES, largest, KEPT_BYTES)
        self._tiles_alone = True

    @property
    def cached_bytes(self) -> int:
        """Bytes of the decoded tiles that are kept now."""
        return self._cache.held

    def keep(self, later: Sequence[Region]) -> None:
        """See `Reader`."""
        self._tiles_alone = False  # another part may want the tile that one part reads by itself
        self._cache.keep(_TilesUnder([self._span(region) for region in later]))

    def tile_side(self, level: int) -> int | None:
        """See `Reader`."""
        tiles = self.levels[level]
        return tiles.tile_width if tiles.tile_width == tiles.tile_height else None

    def tile_as_jpeg(self, level: int, x: int, y: int, side: int) -> bytes | None:
        """See `Reader`."""
        tiles = self.levels[level]
        if not side == tiles.tile_width == tiles.tile_height or x % side or y % side:
            return None
        if not (0 <= x <= tiles.width - side and 0 <= y <= tiles.height - side):
            return None
        stored = self._stored(level, x // side, y // side)
        if stored is not None and stored[-1] == 0:  # some writers fill up to an even length
            stored = stored.rstrip(b"\0")
        if stored is None or not is_whole(stored, tiles.frame):
            return None  # it is decoded then, and where it is damaged that says so
        return stand_alone(tiles.head, stored)

    def close(self) -> None:
        """See `Reader`."""
        self._file.close()
        self._cache.close()

    def _read_inside(self, level: int, x: int, y: int, width: int, height: int, background: int) -> NDArray[np.uint8]:
        tiles = self.levels[level]
        tile_width, tile_height = tiles.tile_width, tiles.tile_height
        if self._tiles_alone and (width, height, x % tile_width, y % tile_height) == (tile_width, tile_height, 0, 0):
            whole = self._whole_tile(level, x // tile_width, y // tile_height)
            if whole is not None:
                return whole
        region = np.empty((height, width, 3), np.uint8)
        for row in range(y // tile_height, -(-(y + height) // tile_height)):
            into_y, from_y = _overlap(row * tile_height, tile_height, y, height)
            for column in range(x // tile_width, -(-(x + width) // tile_width)):
                into_x, from_x = _overlap(column * tile_width, tile_width, x, width)
                tile = self._tile(level, column, row)
                region[into_y, into_x] = background if tile is None else tile[from_y, from_x]
        return region

    def _whole_tile(self, level: int, column: int, row: int) -> NDArray[np.uint8] | None:
        """A tile that is asked for by itself, which no neighbor shares, so that it need not be kept.

        Memory of its own is used again while it is still in the processor's cache: that is a sixth of the time.
        """
        tile = self._cache.get((level, column, row))
        if tile is not None:
            return tile
        stored = self._stored(level, column, row)
        if stored is None:
            return None
        tiles = self.levels[level]
        alone = np.empty((tiles.tile_height, tiles.tile_width, 3), np.uint8)
        self._decode(stored, alone, level, column, row)
        alone.flags.writeable = False
        return alone

    def _tile(self, level: int, column: int, row: int) -> NDArray[np.uint8] | None:
        """The pixels of a tile, read-only, its padding beyond the rim included; None where the slide has none."""
        key = (level, column, row)
        tile = self._cache.get(key)
        if tile is None:
            stored = self._stored(level, column, row)
            if stored is None:
                return None
            tiles = self.levels[level]
            shape = (tiles.tile_height, tiles.tile_width, 3)
            tile = self._cache.add(key, shape, lambda pixels: self._decode(stored, pixels, level, column, row))
        return tile

    def _stored(self, level: int, column: int, row: int) -> bytes | None:
        """The bytes of a tile as they are stored; None where the slide has none."""
        tiles = self.levels[level]
        index = row * tiles.columns + column
        size = int(tiles.sizes[index])
        if size == 0:
            return None
        if size > 2 * 3 * tiles.tile_width * tiles.tile_height + (1 << 16):
            raise self._damaged(level, column, row, f"claims {size} bytes")
        try:
            return self._file.read(int(tiles.offsets[index]), size)
        except SlideReadError as error:
            raise self._damaged(level, column, row, f"cannot be fetched ({error})") from error

    def _decode(self, stored: bytes, tile: NDArray[np.uint8], level: int, column: int, row: int) -> None:
        if not stored.startswith(START):
            raise self._damaged(level, column, row, "is no JPEG")
        try:
            pixels = simplejpeg.decode_jpeg(stand_alone(self.levels[level].head, stored), "RGB", buffer=tile)
        except ValueError as error:
            raise self._damaged(level, column, row, f"cannot be decoded ({error})") from error
        if pixels.shape != tile.shape:
            found, wanted = (f"{shape[1]}x{shape[0]}" for shape in (pixels.shape, tile.shape))
            raise self._damaged(level, column, row, f"is {found} px instead of {wanted}")
        self.decoded += 1

    def _damaged(self, level: int, column: int, row: int, what: str) -> SlideReadError:
        return SlideReadError(
            f"{self.path}: the tile in column {column}, row {row} of level {level} {what}; copy the file anew"
        )

    def _span(self, region: Region) -> "_Span":
        tiles = self.levels[region.level]
        columns = range(region.x // tiles.tile_width, -(-(region.x + region.width) // tiles.tile_width))
        rows = range(region.y // tiles.tile_height, -(-(region.y + region.height) // tiles.tile_height))
        return _Span(region.level, columns, rows)


@dataclass(frozen=True)
class _Span:
    """Tiles of a level."""

    level: int
    columns: range
    rows: range


class _TilesUnder:
    """The keys of the tiles in some spans."""

    def __init__(self, spans: Sequence[_Span]) -> None:
        self._spans = spans

    def __contains__(self, key: object) -> bool:
        match key:
            case (level, column, row):
                return any(s.level == level and column in s.columns and row in s.rows for s in self._spans)
        return False


def _overlap(tile_start: int, tile_size: int, start: int, size: int) -> tuple[slice, slice]:
    """Where a tile and a region meet along one axis: pixels of the region, and of the tile."""
    first, last = max(tile_start, start), min(tile_start + tile_size, start + size)
    return slice(first - start, last - start), slice(first - tile_start, last - tile_start)
