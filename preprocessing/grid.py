"""Where windows go: the grid of positions on one slide, its blocks, and the units of work. Scale-0 pixels.

Everything about a block or a unit is found by arithmetic from its index, so that nothing here grows with the slide,
whatever size a damaged header claims.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocessing.hashing import mixed, stable_hash


@dataclass(frozen=True)
class Grid:
    """Windows of `window` px every `stride` px, wholly inside the slide.

    Attributes:
        window: side of a window, scale-0 pixels.
        stride: step between neighbors, scale-0 pixels.
        offsets: each one `o` gives a grid whose first window starts at (o, o), scale-0 pixels.
        jitter: most pixels by which a window is moved off its place, in x and in y. Below half a stride, and with one
            offset, two windows never meet.
        key: of the draw that moves the windows, from `jitter_key`.
    """

    window: int
    stride: int
    offsets: tuple[int, ...] = (0,)
    jitter: int = 0
    key: int = 0

    def places(self, x: int, y: int, side: int, width: int, height: int) -> NDArray[np.int32]:
        """Top-left corners, before any jitter, of the windows that start in a square.

        Args:
            x, y, side: the square, scale-0 pixels.
            width, height: of the slide at scale 0, pixels.

        Returns:
            (n, 2) int32 of x, y, in raster order, the grids of all offsets together; n may be 0.
        """
        each = []
        for offset in self.offsets:
            xs = self._starts(offset, x, x + side, width)
            ys = self._starts(offset, y, y + side, height)
            each.append(np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2))
        if len(each) == 1:
            return each[0]
        together = np.concatenate(each)
        return together[np.lexsort((together[:, 0], together[:, 1]))]

    def moved(self, places: NDArray[np.int32], width: int, height: int) -> NDArray[np.int32]:
        """The places with the jitter of each: a stable hash of key and place moves it; the slide's edge stops it.

        Args:
            places: (n, 2) top-left corners on the grid, scale-0 pixels.
            width, height: of the slide at scale 0, pixels.

        Returns:
            (n, 2) int32 in the same order, scale-0 pixels.
        """
        if self.jitter == 0 or len(places) == 0:
            return places
        draws = mixed(self.key, places)
        halves = np.stack([draws >> np.uint64(32), draws & np.uint64(0xFFFFFFFF)], axis=-1)
        # 32 bits modulo a few pixels: no step is likelier than another by more than one in a hundred million
        steps = (halves % np.uint64(2 * self.jitter + 1)).astype(np.int64) - self.jitter
        last = (width - self.window, height - self.window)
        return np.clip(places + steps, 0, last).astype(np.int32)

    def _starts(self, offset: int, low: int, high: int, size: int) -> NDArray[np.int32]:
        """First pixels, along one axis of a slide of this size, of the windows that start in [low, high)."""
        first = offset + max(0, -(-(low - offset) // self.stride)) * self.stride
        return np.arange(first, min(high, size - self.window + 1), self.stride, dtype=np.int32)


def jitter_key(slide_id: str, seed: int) -> int:
    """The key of `Grid`: other slides and other seeds move their windows otherwise."""
    return stable_hash("jitter", seed, slide_id)


@dataclass(frozen=True)
class Block:
    """A square of a slide that is read at once: it owns the windows whose place on the grid lies in it.

    Attributes:
        x, y: top-left, scale-0 pixels.
        side: scale-0 pixels.
    """

    x: int
    y: int
    side: int

    def origins(self, grid: Grid, width: int, height: int) -> NDArray[np.int32]:
        """Top-left corners of this block's windows, in raster order of their places on the grid.

        Jitter may move a corner out of the block by `grid.jitter`, yet the window stays this block's, so that blocks of
        any side give the same windows.

        Args:
            grid: where windows go.
            width, height: of the slide at scale 0, pixels.

        Returns:
            (n, 2) int32 of x, y, scale-0 pixels; n may be 0. Memory: about 100 bytes a window of the block.
        """
        return grid.moved(grid.places(self.x, self.y, self.side, width, height), width, height)


def blocks(grid: Grid, width: int, height: int, side: int) -> Iterator[Block]:
    """All blocks of a slide that can own a window, one after the other in raster order.

    Args:
        grid: where windows go.
        width, height: of the slide at scale 0, pixels.
        side: of a block, scale-0 pixels.

    Returns:
        About width x height / side² small objects; none where the slide is smaller than a window.
    """
    columns, rows = _blocks_across(grid, width, height, side)
    return (Block(column * side, row * side, side) for row in range(rows) for column in range(columns))


def unit_shape(blocks_per_shard: int) -> tuple[int, int]:
    """Columns and rows of blocks in a unit of work: as square as the divisors allow, and rather wide than high.

    Rows of a slide's own tiles lie one after the other in the file, so width is cheaper to read than height.
    """
    rows = max(divisor for divisor in range(1, math.isqrt(blocks_per_shard) + 1) if blocks_per_shard % divisor == 0)
    return blocks_per_shard // rows, rows


def count_shards(grid: Grid, width: int, height: int, block: int, blocks_per_shard: int) -> int:
    """How many units of work a slide makes.

    Args:
        grid: where windows go.
        width, height: of the slide at scale 0, pixels.
        block: side of a block, scale-0 pixels.
        blocks_per_shard: most blocks in a unit.

    Returns:
        0 where the slide is smaller than a window.
    """
    across, down = _units_across(grid, width, height, block, blocks_per_shard)
    return across * down


def shard_blocks(index: int, grid: Grid, width: int, height: int, block: int, blocks_per_shard: int) -> list[Block]:
    """The blocks of one unit of work, a rectangle of neighbors.

    Units cover the slide in raster order; at its right and lower edge they are cut off. They follow from the recipe and
    the size of the slide alone, so any number of cores gives the same files. Neighbors share the slide's own tiles
    at their borders, which are then decoded once, and the places of one file lie close together, so that a reader of
    a region skips the other files by their statistics.

    Args:
        index: of the unit, from 0 to `count_shards` - 1.
        grid, width, height, block, blocks_per_shard: as for `count_shards`.

    Returns:
        1 to `blocks_per_shard` blocks in raster order.

    Raises:
        IndexError: the slide has no such unit.
    """
    across, down = _units_across(grid, width, height, block, blocks_per_shard)
    if not 0 <= index < across * down:
        raise IndexError(f"unit {index} of a slide of {across * down} units")
    unit_columns, unit_rows = unit_shape(blocks_per_shard)
    columns, rows = _blocks_across(grid, width, height, block)
    left, top = index % across * unit_columns, index // across * unit_rows
    return [
        Block(column * block, row * block, block)
        for row in range(top, min(top + unit_rows, rows))
        for column in range(left, min(left + unit_columns, columns))
    ]


def shard_areas(
    shards: range, grid: Grid, width: int, height: int, block: int, blocks_per_shard: int
) -> list[tuple[int, int, int, int]]:
    """The squares of some consecutive units of work together.

    Args:
        shards: the units, one after the other.
        grid, width, height, block, blocks_per_shard: as for `count_shards`.

    Returns:
        At most three rectangles that do not meet, as x, y, width, height, scale-0 pixels: the rest of a row of units,
        whole rows, and the beginning of a row. At the slide's right and lower edge they reach beyond it.
    """
    across, _ = _units_across(grid, width, height, block, blocks_per_shard)
    wide, high = (block * count for count in unit_shape(blocks_per_shard))
    found, start = [], shards.start
    while start < shards.stop:
        row, column = divmod(start, across)
        rows = 1 if column else max(1, (shards.stop - start) // across)
        columns = min(across - column, shards.stop - start)
        found.append((column * wide, row * high, columns * wide, rows * high))
        start += columns * rows
    return found


def _blocks_across(grid: Grid, width: int, height: int, side: int) -> tuple[int, int]:
    """Columns and rows of blocks in which a window can start."""
    columns, rows = (max(0, -(-(size - grid.window + 1) // side)) for size in (width, height))
    return columns, rows


def _units_across(grid: Grid, width: int, height: int, block: int, blocks_per_shard: int) -> tuple[int, int]:
    columns, rows = _blocks_across(grid, width, height, block)
    unit_columns, unit_rows = unit_shape(blocks_per_shard)
    return -(-columns // unit_columns), -(-rows // unit_rows)


def scale_origins(
    origins: NDArray[np.int32], window: int, downsample_0: float, downsample_k: float
) -> NDArray[np.int32]:
    """Where the same patches start at another scale: same center, same number of pixels.

    Args:
        origins: (n, 2) top-left corners, scale-0 pixels.
        window: side of a patch at every scale, pixels.
        downsample_0, downsample_k: level-0 pixels per pixel of scale 0 and of scale k.

    Returns:
        (n, 2) int32, pixels of scale k: `floor(center_k) - window // 2`, which may lie outside the slide.
    """
    center = (origins + window / 2) * (downsample_0 / downsample_k)
    return np.floor(center).astype(np.int32) - window // 2


def to_level_0(origins: NDArray[np.int32], downsample: float) -> NDArray[np.int32]:
    """Corners in pixels of a level as the nearest level-0 pixels, (n, 2) int32."""
    return np.rint(origins * downsample).astype(np.int32)
