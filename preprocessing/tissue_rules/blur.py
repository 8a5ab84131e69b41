"""Where the scan is out of focus, as far as a thumbnail shows it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from preprocessing.tissue_rules.color import value_and_chroma
from preprocessing.tissue_rules.pieces import large_pieces
from preprocessing.tissue_rules.sizes import pixels

_STEP_UM: Final = 8
_SIDE: Final = 16
_LEAST_STAINED: Final = 0.1
_LEAST_DETAIL: Final = 5.0
_LEAST_BLOCKS: Final = 4
_FAINT: Final = 0.04
_FAINT_CHROMA: Final = 6


def blurred(thumbnail: NDArray[np.uint8], mpp: float | None) -> NDArray[np.bool_]:
    """Find stained regions without detail.

    The focus measure is HistoQC's (Janowczyk et al. 2019; Pertuz et al. 2013): the mean absolute Laplacian, here of
    the green channel, of pixels 8 µm apart, in blocks of 16, over what has at least a faint color. Below 5 gray levels
    a block is blurred: the sharp tissue of the test slides has 20 and more, blurred by a Gaussian of 16 µm about 2.
    Fewer than 4 blocks together do not count. A defocus of less than about 12 µm does not show on a thumbnail.

    Args:
        thumbnail: (h, w, 3) uint8.
        mpp: micrometers per pixel; None takes 8.

    Returns:
        (h, w) bool. Memory: 1 byte a pixel, and strips of blocks.
    """
    step = pixels(_STEP_UM, mpp)
    coarse = thumbnail[::step, ::step]
    rows, columns = (-(-extent // _SIDE) for extent in coarse.shape[:2])
    flags = np.zeros((rows, columns), bool)
    for row in range(rows):
        flags[row] = _blurred_blocks(coarse[max(0, row * _SIDE - 1) : (row + 1) * _SIDE + 1], columns)
    side = step * _SIDE
    flags = large_pieces(flags, _LEAST_BLOCKS)
    return flags.repeat(side, axis=0).repeat(side, axis=1)[: thumbnail.shape[0], : thumbnail.shape[1]]


def _blurred_blocks(strip: NDArray[np.uint8], columns: int) -> NDArray[np.bool_]:
    """Judge one row of blocks, (columns,) bool; the strip's outermost pixels only lend their neighborhood."""
    if min(strip.shape[:2]) < 3:
        return np.zeros(columns, bool)
    value, chroma = value_and_chroma(strip[1:-1, 1:-1])
    tinted = (chroma > _FAINT * value) & (chroma > _FAINT_CHROMA)
    green = strip[..., 1].astype(np.int16)
    detail = np.abs(4 * green[1:-1, 1:-1] - green[:-2, 1:-1] - green[2:, 1:-1] - green[1:-1, :-2] - green[1:-1, 2:])
    starts = np.arange(0, detail.shape[1], _SIDE)
    count = np.add.reduceat(tinted.sum(axis=0), starts)
    total = np.add.reduceat((detail * tinted).sum(axis=0), starts)
    found = (count >= _LEAST_STAINED * _SIDE * _SIDE) & (total < _LEAST_DETAIL * count)
    return np.pad(found, (0, columns - len(found)))
