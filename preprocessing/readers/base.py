"""What every reader of slides offers: facts about the slide, and regions of it as RGB arrays."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cluster.closing import Closing

WHITE = 255


@dataclass(frozen=True)
class SlideInfo:
    """What a slide says of itself.

    Attributes:
        level_sizes: (width, height) of each level, pixels, finest first.
        downsamples: level-0 pixels per pixel of each level; not always powers of two.
        mpp: micrometers per level-0 pixel, None where the file does not say.
        objective_power: e.g. 40, None where the file does not say.
        vendor: name of the format.
    """

    level_sizes: tuple[tuple[int, int], ...]
    downsamples: tuple[float, ...]
    mpp: float | None
    objective_power: float | None
    vendor: str

    @property
    def width(self) -> int:
        """Level-0 pixels."""
        return self.level_sizes[0][0]

    @property
    def height(self) -> int:
        """Level-0 pixels."""
        return self.level_sizes[0][1]


@dataclass(frozen=True)
class Region:
    """A rectangle of a level.

    Attributes:
        level: pyramid level.
        x, y, width, height: pixels of that level; may reach beyond the slide.
    """

    level: int
    x: int
    y: int
    width: int
    height: int


class Reader(Closing):
    """An open slide: a context manager that reads regions as RGB.

    Attributes:
        name: of the way of reading, as `opening` knows it.
        path: of the file.
        info: what the slide says of itself.
    """

    name: ClassVar[str]
    path: str
    info: SlideInfo

    def read(self, level: int, x: int, y: int, width: int, height: int, background: int = WHITE) -> NDArray[np.uint8]:
        """Read a region, which may reach beyond the slide.

        Args:
            level: pyramid level.
            x, y: top-left corner, pixels of that level.
            width, height: pixels of that level.
            background: gray level of what lies outside the slide or is transparent.

        Returns:
            (height, width, 3) uint8 RGB; to be read only. Memory: up to twice the region, and the reader's own cache.

        Raises:
            SlideReadError: the pixels are damaged.
        """
        level_width, level_height = self.info.level_sizes[level]
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, level_width), min(y + height, level_height)
        if (left, top, right, bottom) == (x, y, x + width, y + height):
            return self._read_inside(level, x, y, width, height, background)
        region = np.full((height, width, 3), background, np.uint8)
        if left < right and top < bottom:
            inside = self._read_inside(level, left, top, right - left, bottom - top, background)
            region[top - y : bottom - y, left - x : right - x] = inside
        return region

    def keep(self, later: Sequence[Region]) -> None:
        """Say, before each of several parts of the slide is read, what is read after it; pixels never change by it.

        Args:
            later: regions that the parts after this one read. What the call before named and this one does not is
                taken to be read now, and need not be kept beyond the next call.
        """
        del later  # what OpenSlide has decoded is in its own cache, which takes no such advice

    def tile_side(self, level: int) -> int | None:
        """Side of the slide's square tiles at a level, where a tile costs no more to read alone than among others.

        Args:
            level: pyramid level.

        Returns:
            Pixels of that level; None where tiles are not square, or not to be had alone.
        """
        del level  # most formats have no such tiles
        return None

    def tile_as_jpeg(self, level: int, x: int, y: int, side: int) -> bytes | None:
        """The square at x, y as the slide stores it, where it is exactly one whole JPEG tile; else None.

        Args:
            level: pyramid level.
            x, y: top-left corner, pixels of that level.
            side: pixels of that level.

        Returns:
            A JPEG that every decoder reads by itself, tables and color transform included.
        """
        del level, x, y, side  # most formats have no such tiles
        return None

    @abstractmethod
    def _read_inside(self, level: int, x: int, y: int, width: int, height: int, background: int) -> NDArray[np.uint8]:
        """`read`, for a region that lies inside the level."""
