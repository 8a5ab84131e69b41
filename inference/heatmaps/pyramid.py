"""The heatmap as a pyramidal TIFF that lies over the slide in ASAP, QuPath and whatever opens through OpenSlide."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import tifffile
from numpy.typing import NDArray

from inference.heatmaps.cells import CellMap
from inference.heatmaps.scratch import Scratch, scratch_errors

TILE: Final = 256
"""Side of a tile of the TIFF, pixels."""
JUDGED: Final = 254
"""Steps of a probability: 0 is value 1, and 1 is value 255."""

_CELL_PIXELS = 4  # along a cell at least, so that its edge is at most half a pixel off, an eighth of its side
_CLASSIC_BYTES = 1 << 31  # beyond it, if it were not compressed, a file gets 64 bit offsets


@dataclass(frozen=True)
class PyramidLayout:
    """The levels of a heatmap over a slide.

    Attributes:
        downsample: level-0 pixels of the slide along a pixel of the finest level.
        sizes: (width, height) of each level, finest first.
    """

    downsample: int
    sizes: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, step: float, width: int, height: int) -> "PyramidLayout":
        """The layout for a slide.

        The downsample is the largest power of two of which a cell has at least four, and not above the square root of
        the slide's shorter side. The size is the slide's by it, rounded down. ASAP takes the whole-number quotient of
        the two images' widths for the scale, and shows the overlay only where that of their heights is the same; like
        this both are the downsample itself. Rounded up, they would be one less, and the overlay too small by that.

        Args:
            step: side of a cell, level-0 pixels.
            width, height: of the slide, level-0 pixels.
        """
        most = max(1.0, min(step / _CELL_PIXELS, math.sqrt(min(width, height))))
        downsample = 2 ** math.floor(math.log2(most))
        sizes = [(width // downsample, height // downsample)]
        while max(sizes[-1]) > TILE:
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        return cls(downsample, tuple(sizes))


def write_pyramid(
    path: Path, cells: CellMap, layout: PyramidLayout, mpp: float | None, says: Mapping[str, object]
) -> None:
    """Write a heatmap: uint8, 0 where nothing was judged, else 1 + 254 times the probability, rounded to nearest.

    A pixel has the value of the cell that its center lies in; one of a lower level the highest of the up to four that
    it covers. Memory: some tiles, and 16 bytes for each tile of the file, whatever the size of the slide.

    Args:
        path: local file to write.
        cells: probabilities.
        layout: from `PyramidLayout.of`.
        mpp: micrometers per level-0 pixel of the slide, if known.
        says: what the description of the file says beside its geometry.

    Raises:
        ScratchError: no space for it on this machine.
    """
    description = {
        "histospark": "heatmap",
        **says,
        "downsample": layout.downsample,
        "step": cells.grid.step,
        "levels": len(layout.sizes),
        "value": "0 not judged, else (value - 1) / 254",
    }
    pixels = sum(width * height for width, height in layout.sizes)
    with ExitStack() as opened:
        opened.enter_context(scratch_errors())
        tiff = opened.enter_context(tifffile.TiffWriter(path, bigtiff=pixels > _CLASSIC_BYTES))
        tiles = _finest_tiles(cells, layout)
        for number, (width, height) in enumerate(layout.sizes):
            halved = opened.enter_context(_Halved(width, height))
            tiff.write(
                halved.passing(tiles),
                shape=(height, width),
                dtype=np.uint8,
                tile=(TILE, TILE),
                photometric="minisblack",
                compression="adobe_deflate",
                subfiletype=int(number > 0),
                description=json.dumps(description) if number == 0 else None,
                metadata=None,
                software=False,
                maxworkers=1,  # more would hold tiles back in memory
                **_resolution(mpp, layout.downsample * 2**number),
            )
            tiles = halved.tiles()


def _resolution(mpp: float | None, downsample: int) -> dict[str, object]:
    if mpp is None:
        return {}
    per_centimeter = 1e4 / (mpp * downsample)
    return {"resolution": (per_centimeter, per_centimeter), "resolutionunit": "CENTIMETER"}


def to_values(probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Probabilities as values of the TIFF, any shape; NaN is 0."""
    return np.where(np.isnan(probability), 0, np.rint(np.nan_to_num(probability) * JUDGED) + 1).astype(np.uint8)


def _finest_tiles(cells: CellMap, layout: PyramidLayout) -> Iterator[NDArray[np.uint8]]:
    """(TILE, TILE) each, raster order; 0 beyond the slide."""
    width, height = layout.sizes[0]
    left, top = cells.grid.corner
    for y in range(0, height, TILE):
        rows, row = _cells_under(y, height, layout.downsample, top, cells.grid.step)
        for x in range(0, width, TILE):
            columns, column = _cells_under(x, width, layout.downsample, left, cells.grid.step)
            region = cells.store.region(row, column, int(rows[-1]) + 1, int(columns[-1]) + 1)
            tile = np.zeros((TILE, TILE), np.uint8)
            tile[: len(rows), : len(columns)] = to_values(region)[np.ix_(rows, columns)]
            yield tile


def _cells_under(start: int, size: int, downsample: int, corner: float, step: float) -> tuple[NDArray[np.int64], int]:
    """The cells under a tile's pixels along one axis, counted from the first one, which is told too."""
    centers = (np.arange(start, min(start + TILE, size)) + 0.5) * downsample
    cells = np.floor((centers - corner) / step).astype(np.int64)
    return cells - cells[0], int(cells[0])


class _Halved(Scratch):
    """The next level, made on the way while a level is written: every tile leaves a quarter of a tile on the disk.

    Args:
        width, height: of the level that is written, pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        super().__init__((TILE // 2) ** 2)
        self._across, self._down = -(-width // TILE), -(-height // TILE)

    def passing(self, tiles: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
        """The tiles of the level as they are, (TILE, TILE) each, raster order."""
        for number, tile in enumerate(tiles):
            highest = tile.reshape(TILE // 2, 2, TILE // 2, 2).max(axis=(1, 3))
            if highest.any():
                self.write(number, highest.tobytes())
            yield tile

    def tiles(self) -> Iterator[NDArray[np.uint8]]:
        """The tiles of the next level, once all have passed."""
        for down in range(0, self._down, 2):
            for across in range(0, self._across, 2):
                tile = np.zeros((2, 2, TILE // 2, TILE // 2), np.uint8)
                for row in range(down, min(down + 2, self._down)):
                    for column in range(across, min(across + 2, self._across)):
                        tile[row - down, column - across].flat = np.frombuffer(
                            self.read(row * self._across + column), np.uint8
                        )
                yield tile.swapaxes(1, 2).reshape(TILE, TILE)
