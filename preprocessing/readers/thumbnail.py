"""A slide made small: for finding tissue, and for people. Area-averaged, in bounded memory whatever the slide."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from preprocessing.readers.base import Reader

GUESSED_DOWNSAMPLE = 32.0
"""Taken where the resolution is not known: 8 micrometers a pixel on a slide scanned at 40x."""
FINE_ENOUGH = 1500
"""Longer side, pixels, that a thumbnail keeps where its resolution is but guessed: a small image keeps its detail."""
_BLOCK_ROWS = 1024
_LEAST_ROWS = 512  # tiles are that high at the most, and none is to be decoded twice
_STRIP_PIXELS = 1 << 20
_BLOCK_PIXELS = 1 << 22


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A whole slide, made small; its pixels are read when asked for, while the slide is open.

    Attributes:
        slide: it is made of.
        level: of the slide that is read.
        factor: side, pixels of that level, of the squares that are averaged.
    """

    slide: Reader
    level: int
    factor: int

    @property
    def downsample(self) -> float:
        """Level-0 pixels per thumbnail pixel."""
        return self.slide.info.downsamples[self.level] * self.factor

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, pixels; at the right and lower rim the average is over what is left of a square."""
        width, height = self.slide.info.level_sizes[self.level]
        return ceil(height / self.factor), ceil(width / self.factor)

    @cached_property
    def rgb(self) -> NDArray[np.uint8]:
        """All of it, (h, w, 3) uint8, on white; read once and kept.

        Raises:
            SlideReadError: the pixels are damaged.

        Memory: the thumbnail, and that of `strips`.
        """
        whole = np.empty((*self.shape, 3), np.uint8)
        top = 0
        for strip in self.strips():
            whole[top : top + len(strip)] = strip
            top += len(strip)
        return whole

    def strips(self) -> Iterator[NDArray[np.uint8]]:
        """The same from top to bottom, never whole: every call reads the slide.

        Yields:
            (any, w, 3) uint8, on white; to be read only.

        Raises:
            SlideReadError: the pixels are damaged.

        Memory: a strip of about a million pixels (or 512 rows, 12 MB for the widest), a block of the level of up to 4
        million (12 MB), and the reader's own; nothing that grows with the slide.
        """
        rows, columns = self._block
        for top in range(0, self.shape[0], rows):
            yield self._strip(top, rows, columns)

    @property
    def _block(self) -> tuple[int, int]:
        """Rows of a strip, and columns that are read at a time, pixels of the thumbnail.

        Single tiles where the slide has such: readers that know them do not keep them, and the thumbnail would go
        through a cache otherwise. Else blocks so large that few tiles lie in two.
        """
        side = self.slide.tile_side(self.level)
        if side is not None and side % self.factor == 0 and side <= _BLOCK_ROWS:
            return side // self.factor, side // self.factor
        rows = max(1, _BLOCK_ROWS // self.factor)
        if rows * self.shape[1] > _STRIP_PIXELS:
            rows = max(1, _LEAST_ROWS // self.factor)
        return rows, max(1, _BLOCK_PIXELS // (rows * self.factor * self.factor))

    def _strip(self, top: int, rows: int, columns: int) -> NDArray[np.uint8]:
        height, width = self.shape
        strip = np.empty((min(rows, height - top), width, 3), np.uint8)
        for left in range(0, width, columns):
            strip[:, left : left + columns] = self._averaged(left, top, columns, len(strip))
        return strip

    def _averaged(self, left: int, top: int, width: int, height: int) -> NDArray[np.uint8]:
        """A part of the thumbnail, or what is left of it at the rim; rounded as Pillow rounds means."""
        level_width, level_height = self.slide.info.level_sizes[self.level]
        x, y = left * self.factor, top * self.factor
        width, height = min(width * self.factor, level_width - x), min(height * self.factor, level_height - y)
        block = self.slide.read(self.level, x, y, width, height)
        return block if self.factor == 1 else np.asarray(Image.fromarray(block).reduce(self.factor))


def slide_thumbnail(slide: Reader, mpp: float | None, target_mpp: float = 8.0, longest: int = 8192) -> Thumbnail:
    """The slide at about `target_mpp`, never coarser unless it would be too large.

    Made from the coarsest level that is fine enough, averaged over squares of a whole number of pixels. A slide that
    would come out with a longer side of less than `FINE_ENOUGH` pixels stays finer, where its mpp is but guessed.

    Args:
        slide: an open slide.
        mpp: micrometers per level-0 pixel; where it is None the slide is taken for one of 0.25.
        target_mpp: wanted micrometers per thumbnail pixel.
        longest: bound of the longer side, pixels, which goes before all else.

    Returns:
        The thumbnail, of which nothing is read yet.
    """
    guessed = min(GUESSED_DOWNSAMPLE, max(slide.info.level_sizes[0]) / FINE_ENOUGH)
    wanted = max(1.0, guessed if mpp is None else target_mpp / mpp)
    level = _coarsest_level(slide, wanted)
    downsample = slide.info.downsamples[level]
    factor = max(1, floor(wanted / downsample + 1e-3), ceil(max(slide.info.level_sizes[level]) / longest))
    return Thumbnail(slide, level, factor)


def slide_picture(slide: Reader, longest: int) -> NDArray[np.uint8]:
    """The whole slide as a picture for people: (h, w, 3) uint8 on white, its longer side `longest` pixels at most.

    Raises:
        SlideReadError: the pixels are damaged.

    Memory: up to 4 times the picture, 24 MB, and the reader's own.
    """
    width, height = slide.info.level_sizes[0]
    wanted = max(1.0, max(width, height) / longest)
    level = _coarsest_level(slide, wanted)
    factor = max(1, floor(max(slide.info.level_sizes[level]) / (2 * longest)))  # the rest, at least half, by fractions
    picture = Image.fromarray(Thumbnail(slide, level, factor).rgb)
    size = (max(1, round(width / wanted)), max(1, round(height / wanted)))
    return np.asarray(picture.resize(size, Image.Resampling.BOX) if size != picture.size else picture)


def _coarsest_level(slide: Reader, wanted: float) -> int:
    """The level with the largest downsample that is not above the wanted one."""
    fine = [number for number, downsample in enumerate(slide.info.downsamples) if downsample <= wanted * (1 + 1e-3)]
    return max(fine, key=lambda number: slide.info.downsamples[number], default=0)
