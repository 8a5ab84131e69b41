"""Where windows go: the grid of positions on one slide, its blocks, and the units of work. Scale-0 pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocessing.hashing import stable_hash


@dataclass(frozen=True)
class Grid:
    """Windows of `window` px every `stride` px, wholly inside the slide.

    Attributes:
        window: side of a window, scale-0 pixels.
        stride: step between neighbors, scale-0 pixels.
        offset: top-left of the first window, scale-0 pixels.
    """

    window: int
    stride: int
    offset: int = 0

    def starts(self, low: int, high: int, size: int) -> NDArray[np.int32]:
        """First pixels, along one axis, of the windows that start in [low, high).

        Args:
            low, high: the interval, scale-0 pixels.
            size: of the slide along this axis, scale-0 pixels.
        """
        first = self.offset + max(0, -(-(low - self.offset) // self.stride)) * self.stride
        return np.arange(first, min(high, size - self.window + 1), self.stride, dtype=np.int32)


@dataclass(frozen=True)
class Block:
    """A square of a slide that is read at once: it owns the windows whose top-left lies in it.

    Attributes:
        x, y: top-left, scale-0 pixels.
        side: scale-0 pixels.
    """

    x: int
    y: int
    side: int

    def origins(self, grid: Grid, width: int, height: int) -> NDArray[np.int32]:
        """Top-left corners of this block's windows in raster order.

        Args:
            grid: where windows go.
            width, height: of the slide at scale 0, pixels.

        Returns:
            (n, 2) int32 of x, y, scale-0 pixels; n may be 0.
        """
        xs = grid.starts(self.x, self.x + self.side, width)
        ys = grid.starts(self.y, self.y + self.side, height)
        return np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)


def blocks(grid: Grid, width: int, height: int, side: int) -> list[Block]:
    """All blocks of a slide that can own a window, in raster order.

    Args:
        grid: where windows go.
        width, height: of the slide at scale 0, pixels.
        side: of a block, scale-0 pixels.

    Returns:
        About width x height / side² small objects; none where the slide is smaller than a window.
    """
    xs = range(0, width - grid.window + 1, side)
    ys = range(0, height - grid.window + 1, side)
    return [Block(x, y, side) for y in ys for x in xs]


def shards(all_blocks: list[Block], slide_id: str, recipe_id: str, blocks_per_shard: int) -> list[list[Block]]:
    """Deal the blocks of a slide into units of work, each of places from all over the slide.

    The units depend on slide and recipe alone, so any number of cores gives the same files, and a file's rows
    are not one neighborhood.

    Args:
        all_blocks: of the slide.
        slide_id, recipe_id: decide, by stable hash, which blocks go together.
        blocks_per_shard: most blocks in a unit.
    """
    mixed = sorted(all_blocks, key=lambda block: stable_hash(slide_id, recipe_id, block.x, block.y))
    return [mixed[i : i + blocks_per_shard] for i in range(0, len(mixed), blocks_per_shard)]


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
