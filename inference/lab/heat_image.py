"""The heatmap pyramid of a slide, read tile by tile as it is stored."""

import json
import math
from threading import Lock
from typing import Any, Final

import numpy as np
import tifffile
from numpy.typing import NDArray

from inference.lab.not_shown import NotShownError

_LARGEST_TILE: Final = 1024  # pixels; ours have 256
_STEPS: Final = 254  # value 1 is probability 0, value 255 is 1, value 0 was not judged


class HeatImage:
    """An open heatmap; threads may share it.

    Memory: 16 bytes a tile of the file, and the tile that is read.

    Args:
        file: of the TIFF, open for reading bytes; nobody else uses it.
        name: for people.

    Raises:
        NotShownError: it is damaged, or no heatmap of ours.
    """

    def __init__(self, file: Any, name: str) -> None:
        self._name, self._lock = name, Lock()
        try:
            self._tiff = tifffile.TiffFile(file, name=name)
            self._pages = list(self._tiff.pages)
            says = json.loads(self._pages[0].description)
            self.downsample = int(says["downsample"])
            self.levels = tuple((int(page.imagewidth), int(page.imagelength)) for page in self._pages)
            self.tile_size = int(self._pages[0].tilewidth)
            is_ours = says["histospark"] == "heatmap" and self.downsample > 0 and self._is_pyramid()
        except Exception as error:  # tifffile raises nearly anything on damaged files
            raise self._damaged() from error
        if not is_ours:
            raise self._damaged()

    def tile(self, level: int, column: int, row: int) -> NDArray[np.uint8]:
        """Values of a tile: (h, w) uint8, at the right and lower rim what is left of it.

        Args:
            level: of the pyramid, 0 is the finest.
            column, row: of the tile.

        Raises:
            NotShownError: no such tile, or it is damaged.
        """
        width, height = self.levels[level] if level < len(self.levels) else (0, 0)
        columns, rows = math.ceil(width / self.tile_size), math.ceil(height / self.tile_size)
        if column >= columns or row >= rows:
            raise NotShownError(404, f"{self._name} has no tile {column}_{row} at level {level}")
        shape = (
            min(self.tile_size, height - row * self.tile_size),
            min(self.tile_size, width - column * self.tile_size),
        )
        page, number = self._pages[level], row * columns + column
        try:
            start, count = int(page.dataoffsets[number]), int(page.databytecounts[number])
            if count == 0:  # a tile that was left out: nothing was judged there
                return np.zeros(shape, np.uint8)
            with self._lock:
                self._tiff.filehandle.seek(start)
                stored = self._tiff.filehandle.read(count)
            segment = page.decode(stored, number)[0]
            values = np.asarray(segment[0, : shape[0], : shape[1], 0])
        except Exception as error:  # see above
            raise self._damaged() from error
        if values.shape != shape:
            raise self._damaged()
        return values

    def cell_of(self, x: float, y: float) -> tuple[int, int, int, int] | None:
        """Where the value of a place of the slide is stored: column and row of the tile, column and row in it.

        Args:
            x, y: level-0 pixels of the slide.

        Returns:
            None outside of the heatmap.
        """
        column, row = math.floor(x / self.downsample), math.floor(y / self.downsample)
        width, height = self.levels[0]
        if not (0 <= column < width and 0 <= row < height):
            return None
        side = self.tile_size
        return column // side, row // side, column % side, row % side

    def facts(self) -> dict[str, Any]:
        """What a viewer has to know to ask for tiles."""
        width, height = self.levels[0]
        facts = {"width": width, "height": height, "downsample": self.downsample, "tile_size": self.tile_size}
        return facts | {"levels": [list(size) for size in self.levels]}

    def _is_pyramid(self) -> bool:
        """Whether every level halves the one above, and all are tiles of bytes."""
        halves = [tuple(math.ceil(side / 2) for side in size) for size in self.levels]
        return halves[:-1] == list(self.levels[1:]) and all(
            page.is_tiled
            and page.dtype == np.uint8
            and page.samplesperpixel == 1
            and page.tilewidth == page.tilelength == self.tile_size <= _LARGEST_TILE
            for page in self._pages
        )

    def _damaged(self) -> NotShownError:
        return NotShownError(410, f"{self._name} of the run is damaged; remove it and run histospark infer again")


def probability_of(value: int) -> float | None:
    """The probability that a stored value stands for; None where nothing was judged."""
    return (value - 1) / _STEPS if value else None


def first_shown(threshold: float) -> int:
    """The lowest stored value whose probability reaches a threshold of 0 to 1."""
    return math.ceil(threshold * _STEPS - 1e-9) + 1
