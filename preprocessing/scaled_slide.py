"""A slide seen at the scales of a recipe, which remembers what was read last."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocessing.readers.base import Reader
from preprocessing.resample import read_averaged
from preprocessing.scales import SlideScale


@dataclass(frozen=True)
class _Region:
    x: int
    y: int
    pixels: NDArray[np.uint8]

    def part(self, x: int, y: int, width: int, height: int) -> NDArray[np.uint8] | None:
        left, top = x - self.x, y - self.y
        rows, columns = self.pixels.shape[:2]
        if left < 0 or top < 0 or left + width > columns or top + height > rows:
            return None
        return self.pixels[top : top + height, left : left + width]


class ScaledSlide:
    """Reads regions in pixels of a scale, and keeps the last one of each.

    So judging a block and cutting its windows read it once.

    Memory: the last region of every scale, three bytes a pixel, beside what the reader keeps.

    Args:
        slide: open; closed by whoever opened it.
        scales: of the recipe on this slide, finest first.
    """

    def __init__(self, slide: Reader, scales: Sequence[SlideScale]) -> None:
        self.slide = slide
        self.scales = tuple(scales)
        self._last: dict[int, _Region] = {}

    def region(self, scale: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """Read a region and remember it.

        Args:
            scale: index of the scale.
            x, y, width, height: pixels of the scale; what lies outside the slide is white.

        Returns:
            (height, width, 3) uint8 RGB, to be read only.
        """
        known = self._known(scale, x, y, width, height)
        if known is not None:
            return known
        self._last.pop(scale, None)  # before the next one is there, not after
        pixels = self._read(scale, x, y, width, height)
        self._last[scale] = _Region(x, y, pixels)
        return pixels

    def window(self, scale: int, x: int, y: int, side: int) -> NDArray[np.uint8]:
        """Read a single window: as `region`, but not remembered."""
        known = self._known(scale, x, y, side, side)
        return self._read(scale, x, y, side, side) if known is None else known

    def on_whole_tiles(self, scale: int, origins: NDArray[np.int32], side: int) -> bool:
        """Whether windows are whole tiles of the slide, each of them cheap to read alone.

        Args:
            scale: index of the scale.
            origins: (n, 2) top-left corners, pixels of the scale.
            side: of the windows, pixels.
        """
        where = self.scales[scale]
        return where.factor == 1 and self.slide.tile_side(where.level) == side and not (origins % side).any()

    def tile_as_jpeg(self, scale: int, x: int, y: int, side: int) -> bytes | None:
        """The window as the slide stores it, where it is one whole JPEG tile of it; else None."""
        where = self.scales[scale]
        return self.slide.tile_as_jpeg(where.level, x, y, side) if where.factor == 1 else None

    def _known(self, scale: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8] | None:
        last = self._last.get(scale)
        return None if last is None else last.part(x, y, width, height)

    def _read(self, scale: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        where = self.scales[scale]
        if where.factor == 1:
            return self.slide.read(where.level, x, y, width, height)
        return read_averaged(
            lambda left, top, wide, high: self.slide.read(where.level, left, top, wide, high),
            where.factor, x, y, width, height,
        )  # fmt: skip
