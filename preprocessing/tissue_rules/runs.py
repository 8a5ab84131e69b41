"""Masks as runs along their rows, and the connected pieces that the runs form: small where masks are large."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from preprocessing.tissue_rules.strips import strips

Rows = Callable[[slice], NDArray[np.bool_]]
"""Makes the rows of a mask that is asked for strip by strip, so that it need not be held."""

_Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Runs:
    """The runs of a mask in raster order. A place is row * (width + 1) + column: an unset column parts the rows.

    Attributes:
        shape: height and width of the mask.
        starts: (n,) int32 places of first pixels.
        ends: (n,) int32 places after last pixels.
        pieces: (n,) int32, the number of the connected piece of each, from 0.
        count: of pieces.
    """

    shape: tuple[int, ...]
    starts: _Ints
    ends: _Ints
    pieces: _Ints
    count: int

    def sizes(self) -> NDArray[Any]:
        """Pixels of each piece, (count,) whole numbers."""
        return np.bincount(self.pieces, self.ends - self.starts, minlength=self.count)

    def holding(self, places: _Ints) -> NDArray[np.bool_]:
        """Which pieces hold one of some places, all of which lie in runs, (count,) bool."""
        kept = np.zeros(self.count, bool)
        kept[self.pieces[np.searchsorted(self.starts, places, "right") - 1]] = True
        return kept

    def at_border(self) -> NDArray[np.bool_]:
        """Which pieces touch the border of the mask, (count,) bool."""
        height, stride = self.shape[0], self.shape[1] + 1
        touching = (self.starts < stride) | (self.starts >= (height - 1) * stride)
        touching |= (self.starts % stride == 0) | (self.ends % stride == stride - 1)
        found = np.zeros(self.count, bool)
        found[self.pieces[touching]] = True
        return found

    def painted(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The mask of some pieces.

        Args:
            chosen: (count,) bool.

        Returns:
            (h, w) bool. Memory: 1 byte a pixel, and 9 bytes a run.
        """
        mask = np.zeros(self.shape, bool)
        mine = chosen[self.pieces]
        edges = np.column_stack([self.starts[mine], self.ends[mine]]).ravel()  # ascending: runs never touch
        stride = self.shape[1] + 1
        for rows, _ in strips(self.shape):
            first, last = np.searchsorted(edges, [rows.start * stride, rows.stop * stride])
            if first == last:
                continue
            turns = np.zeros((rows.stop - rows.start, stride), bool)
            turns.ravel()[edges[first:last] - rows.start * stride] = True
            np.logical_xor.accumulate(turns.ravel(), out=turns.ravel())
            mask[rows] = turns[:, :-1]
        return mask


def find_runs(shape: tuple[int, ...], mask: Rows, reach: int) -> Runs:
    """Find the runs of a mask and join them to pieces, strip by strip, then the strips at their seams.

    Labeling by runs is known from Rosenfeld & Pfaltz (1966) and He et al. (2008). Masks of tissue have 1 run for some
    hundred pixels, so it takes a fraction of the time and the memory of an image of labels.

    Args:
        shape: height and width of the mask, fewer than 2^31 places.
        mask: gives its rows, (rows, w) bool, from top to bottom.
        reach: columns by which the runs of two rows may miss each other: 1 joins diagonal neighbors, too
            (8-connected), 0 does not (4-connected).

    Returns:
        The runs. Memory: up to 40 bytes a run while they are found and painted, and strips. Noise has a run for 4
        pixels (10 bytes a pixel), a pattern of single pixels one for 2; no scan of a slide comes near.
    """
    stride = shape[1] + 1
    found: list[Runs] = []
    seams: list[tuple[_Ints, _Ints]] = []
    count = 0
    for rows, _ in strips(shape):
        starts, ends = (places + np.int32(rows.start * stride) for places in _edges(mask(rows)))
        number, pieces = _joined(len(starts), *_touching(starts, ends, starts, ends, stride, reach))
        strip = Runs(shape, starts, ends, pieces + np.int32(count), number)
        if found:
            seams.append(_seam(found[-1], strip, rows.start * stride, stride, reach))
        found.append(strip)
        count += number
    above, below = (_chained(side) for side in (zip(*seams, strict=True) if seams else ((), ())))
    number, root = _joined(count, above, below)
    starts, ends = _chained(strip.starts for strip in found), _chained(strip.ends for strip in found)
    return Runs(shape, starts, ends, root[_chained(strip.pieces for strip in found)], number)


def _chained(parts: Iterable[_Ints]) -> _Ints:
    return np.concatenate([np.empty(0, np.int32), *parts])


def _edges(mask: NDArray[np.bool_]) -> tuple[_Ints, _Ints]:
    """Places where runs start and after which they end."""
    framed = np.zeros((mask.shape[0], mask.shape[1] + 1), bool)
    framed[:, :-1] = mask
    flat = framed.ravel()
    turns = np.empty_like(flat)
    turns[0] = flat[0]
    np.not_equal(flat[1:], flat[:-1], out=turns[1:])
    places = np.flatnonzero(turns).astype(np.int32)
    return places[::2], places[1::2]


def _touching(
    starts: _Ints, ends: _Ints, starts_below: _Ints, ends_below: _Ints, stride: int, reach: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Pairs of a run and one that touches it in the next row, as two arrays of indices."""
    first = np.searchsorted(ends_below, starts + np.int32(stride - reach), "right")
    after = np.searchsorted(starts_below, ends + np.int32(stride + reach), "left")
    counts = after - first
    behind = np.cumsum(counts)
    below = np.arange(behind[-1] if len(behind) else 0) + np.repeat(first - (behind - counts), counts)
    return np.repeat(np.arange(len(starts)), counts), below


def _seam(above: Runs, below: Runs, place: int, stride: int, reach: int) -> tuple[_Ints, _Ints]:
    """Pairs of pieces of two strips that touch, where the lower one begins at a place."""
    tail = np.searchsorted(above.starts, place - stride)
    head = np.searchsorted(below.starts, place + stride)
    upper, lower = _touching(
        above.starts[tail:], above.ends[tail:], below.starts[:head], below.ends[:head], stride, reach
    )
    return above.pieces[tail:][upper], below.pieces[:head][lower]


def _joined(count: int, one: NDArray[Any], other: NDArray[Any]) -> tuple[int, _Ints]:
    """How many pieces the pairs of one thing and another make of `count` things, and the piece of each."""
    pairs = coo_matrix((np.ones(len(one), bool), (one, other)), (count, count))
    number, pieces = connected_components(pairs, directed=False)
    return int(number), pieces.astype(np.int32, copy=False)
