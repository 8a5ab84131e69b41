"""A slide as deep zoom tiles, by OpenSlide's own generator; any file that the jobs read."""

import weakref
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
import openslide
import simplejpeg
from openslide.deepzoom import DeepZoomGenerator
from PIL import Image

from inference.lab.flat_slide import FlatSlide
from inference.lab.kept import Kept
from inference.lab.not_shown import NotShownError, without_places
from preprocessing.errors import SlideError
from preprocessing.readers.opening import open_slide
from preprocessing.readers.staged import staged

TILE: Final = 256
"""Side of a tile, pixels: that of most slides' own tiles, so that few have to be decoded for one."""

_QUALITY: Final = 85  # with full color: nuclei lose twice as much at halved color, for a quarter less bytes
_THUMBNAIL_LEVEL: Final = 8  # its longer side is 129 to 256 pixels, whatever the slide's
_LARGEST_REGION: Final = 8 * TILE  # side that is read at once for a tile, pixels of the slide's level
_COMPOSED_TILES: Final = 256  # of 200 kB
_MOST_FLAT_PIXELS: Final = 1 << 27
_HANDLE_BYTES: Final = 64 << 20  # what an open slide is taken for at most, beside the common cache of decoded tiles

# One cache of decoded tiles for all slides together.
_CACHE: Final = openslide.OpenSlideCache(64 << 20)


class SlideImage:
    """An open slide; threads may share it.

    A tile for which too large a region would have to be read, as the slide lacks a level near it, is put together from
    the four tiles of the next finer level; these are kept.

    Memory: `weight`, and up to 50 MB for each tile that is being cut.

    Args:
        path: of its file.
        slide: the open file; nobody else uses it.
    """

    def __init__(self, path: str, slide: openslide.AbstractSlide) -> None:
        self._path, self._slide = path, slide
        self._zoom = DeepZoomGenerator(slide, TILE, overlap=0, limit_bounds=False)
        self._composed: Kept[tuple[int, int, int], Image.Image] = Kept(_COMPOSED_TILES)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, level-0 pixels."""
        return self._slide.dimensions

    @property
    def max_level(self) -> int:
        """The deep zoom level of full size."""
        return self._zoom.level_count - 1

    @property
    def weight(self) -> int:
        """Bytes that it holds, or may come to hold."""
        width, height = self.size
        return _HANDLE_BYTES + (4 * width * height if isinstance(self._slide, FlatSlide) else 0)

    def tile(self, level: int, column: int, row: int) -> bytes:
        """A tile as JPEG; at the right and lower rim what is left of it.

        Args:
            level: of deep zoom, 0 is one pixel.
            column, row: of the tile.

        Raises:
            NotShownError: no such tile, or the slide is damaged there.
        """
        name = Path(self._path).name
        if level > self.max_level or not _within((column, row), self._zoom.level_tiles[level]):
            raise NotShownError(404, f"{name} has no tile {column}_{row} at level {level}")
        try:
            pixels = np.asarray(self._pixels(level, column, row))
        except openslide.OpenSlideError as error:
            raise NotShownError(410, f"{name} is damaged there: {without_places(str(error), self._path)}") from error
        return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), _QUALITY, "RGB", "444")

    def thumbnail(self) -> bytes:
        """The whole slide as JPEG, its longer side 129 to 256 pixels, less where the slide is smaller."""
        return self.tile(min(_THUMBNAIL_LEVEL, self.max_level), 0, 0)

    def _pixels(self, level: int, column: int, row: int) -> Image.Image:
        _, _, region = self._zoom.get_tile_coordinates(level, (column, row))
        if max(region) <= _LARGEST_REGION:
            tile = self._zoom.get_tile(level, (column, row))  # at the rim it may lack a pixel: it keeps the aspect
            size = self._zoom.get_tile_dimensions(level, (column, row))
            return tile if tile.size == size else tile.resize(size)
        return self._composed.get((level, column, row), lambda: self._composed_of_four(level, column, row))

    def _composed_of_four(self, level: int, column: int, row: int) -> Image.Image:
        finer, (left, top) = level + 1, (2 * column, 2 * row)
        columns, rows = self._zoom.level_tiles[finer]
        width, height = self._zoom.level_dimensions[finer]
        whole = Image.new("RGB", (min(2 * TILE, width - left * TILE), min(2 * TILE, height - top * TILE)))
        for y in range(top, min(top + 2, rows)):
            for x in range(left, min(left + 2, columns)):
                whole.paste(self._pixels(finer, x, y), ((x - left) * TILE, (y - top) * TILE))
        return whole.reduce(2)


def open_image(path: str) -> SlideImage:
    """Open a slide or a flat image to look at it.

    Args:
        path: of the file, plain or by URI; what lies on HDFS or S3 is copied to this machine first, see `staged`, and
            its copy is in use as long as the slide is.

    Raises:
        NotShownError: it is gone, cannot be copied, in no known format, or a flat image too large to be held.
    """
    name = path.rpartition("/")[2]
    with ExitStack() as unless_opened:
        try:
            local = unless_opened.enter_context(staged(path)).path
        except SlideError as error:
            raise NotShownError(410, without_places(str(error), path)) from error
        if not Path(local).is_file():
            raise NotShownError(
                410, f"{name} is not where it was when it was judged; if it moved, give --slides FOLDER"
            )
        try:
            slide: openslide.AbstractSlide = openslide.OpenSlide(local)
        except openslide.OpenSlideError:
            slide = _flat(local, name)
        slide.set_cache(_CACHE)
        image = SlideImage(local, slide)
        weakref.finalize(image, unless_opened.pop_all().close)
    return image


def _flat(path: str, name: str) -> FlatSlide:
    try:
        with open_slide(path) as reader:
            width, height = reader.info.width, reader.info.height
            if width * height > _MOST_FLAT_PIXELS:
                raise NotShownError(
                    404, f"{name} is a flat image of {width}x{height} px, too large to be held; make it a pyramid TIFF"
                )
            return FlatSlide(reader.read(0, 0, 0, width, height))
    except SlideError as error:
        raise NotShownError(410, without_places(str(error), path)) from error


def _within(place: tuple[int, int], count: tuple[int, int]) -> bool:
    return place[0] < count[0] and place[1] < count[1]
