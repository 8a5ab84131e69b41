"""Windows that marks on a slide ask for, beside those of the grid that keep away from the marks. Scale-0 pixels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocessing.grid import Block


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of a block, before their tissue is judged.

    Attributes:
        origins: (n, 2) int32 top-left corners, scale-0 pixels.
        certain: (n,) bool: these are patches whatever their tissue, and whatever is drawn.
        label: (n,) int32; None where nothing is known.
        fraction: (n,) float32, annotated share of the center; None where nothing is known, or nobody measures it.
    """

    origins: NDArray[np.int32]
    certain: NDArray[np.bool_]
    label: NDArray[np.int32] | None = None
    fraction: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Marks:
    """What the marks of one slide ask for.

    Attributes:
        origins: (n, 2) int32 top-left corners of their windows, no two alike.
        labels: (n,) int32.
        left_out: (m, 2) int32: for each window that found no place, the corner on the slide that is nearest to it.
        apart: which windows of the grid, (k, 2) int32 corners, keep away from all marks: (k,) bool.
    """

    origins: NDArray[np.int32]
    labels: NDArray[np.int32]
    left_out: NDArray[np.int32]
    apart: Callable[[NDArray[np.int32]], NDArray[np.bool_]]

    def windows(self, block: Block, on_grid: NDArray[np.int32]) -> Windows:
        """The windows of a block: those of its marks, and of the grid those apart, which have label 0.

        Args:
            block: owns the marked windows whose corner lies in it, so that blocks of any side give the same windows.
            on_grid: (k, 2) int32 corners of its windows on the grid.

        Returns:
            The marked ones are certain. Memory: 50 bytes a window of the grid, and 3 bytes a mark.
        """
        others = on_grid[self.apart(on_grid)]
        if len(others):  # a place is one patch; jitter may take a window out of its block, so it is looked for beyond
            low, high = others.min(axis=0), others.max(axis=0)
            near = self.origins[((self.origins >= low) & (self.origins <= high)).all(axis=1)]
            others = others[~np.isin(_packed(others), _packed(near))]
        mine = _in(block, self.origins)
        certain = np.zeros(len(others) + int(mine.sum()), bool)
        certain[len(others) :] = True
        label = np.concatenate([np.zeros(len(others), np.int32), self.labels[mine]])
        return Windows(np.concatenate([others, self.origins[mine]]), certain, label)

    def lost(self, blocks: Sequence[Block]) -> int:
        """How many windows found no place in some blocks."""
        return sum(int(_in(block, self.left_out).sum()) for block in blocks)


def distinct(origins: NDArray[np.int32], labels: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Each place once, with the highest of its labels, by x and then y."""
    order = np.lexsort((-labels, origins[:, 1], origins[:, 0]))
    origins, labels = origins[order], labels[order]
    first = np.ones(len(origins), bool)
    first[1:] = (np.diff(origins, axis=0) != 0).any(axis=1)
    return origins[first], labels[first]


def _in(block: Block, places: NDArray[np.int32]) -> NDArray[np.bool_]:
    corner = (block.x, block.y)
    return ((places >= corner) & (places < (block.x + block.side, block.y + block.side))).all(axis=1)


def _packed(places: NDArray[np.int32]) -> NDArray[np.int64]:
    return (places[:, 0].astype(np.int64) << 32) | places[:, 1]
