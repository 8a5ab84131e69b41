"""Edges of the slide and of the cover slip: long straight dark lines near a border, and all beyond them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from preprocessing.tissue_rules.sizes import pixels

_REACH: Final = 0.08
_STEEPEST: Final = 0.015
_SLOPES: Final = 31
_SEGMENTS: Final = 64
_LEAST_ALONG: Final = 0.3
_LEAST_FILLED: Final = 0.5
_SMALLEST: Final = 256
_MARGIN_UM: Final = 160
_MOST_STAINED: Final = 0.02


def beyond_glass_edge(
    colorless_pixels: NDArray[np.bool_], stained: NDArray[np.bool_], mpp: float | None
) -> NDArray[np.bool_]:
    """Find the edge of the glass along each border and mark what lies outside of it, and 160 µm inside.

    A Radon transform (Duda & Hart 1972 for lines) over the small angles that glass lies at in a scanner: an edge
    is a line within 8 % of a border, at most 1.5 % out of parallel, dark and colorless along 30 % of it;
    the innermost one counts. A line beyond which lies more than 2 % of all that is stained is no edge of the glass.

    Args:
        colorless_pixels: (h, w) bool, of `marks.colorless`.
        stained: (h, w) bool, to guard tissue.
        mpp: micrometers per pixel; None takes 8.

    Returns:
        (h, w) bool; nothing on thumbnails below 256 pixels a side. Memory: 2 bytes a pixel.
    """
    beyond = np.zeros_like(colorless_pixels)
    if min(beyond.shape) < _SMALLEST:
        return beyond
    most = _MOST_STAINED * np.count_nonzero(stained)
    for turn in range(4):  # views turned so that the border in question is on top
        depths = _edge_depths(np.rot90(colorless_pixels, turn))
        if depths is None:
            continue
        depths = depths + pixels(_MARGIN_UM, mpp)
        view = np.rot90(beyond, turn)
        rows = np.arange(min(len(view), int(depths.max()) + 1))[:, None]
        outside = rows < depths
        if np.count_nonzero(np.rot90(stained, turn)[: len(rows)] & outside) <= most:
            view[: len(rows)] |= outside
    return beyond


def _edge_depths(colorless_pixels: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Depth of the innermost line below the upper border, per column, pixels; None where there is no line."""
    height, width = colorless_pixels.shape
    reach = round(_REACH * height)
    drift = int(np.ceil(_STEEPEST * width / 2))
    band = ndimage.maximum_filter1d(colorless_pixels[: reach + drift].view(np.uint8), 3, axis=0)
    starts = np.linspace(0, width, _SEGMENTS, endpoint=False).astype(int)
    lengths = np.diff(np.append(starts, width))
    filled = np.add.reduceat(band, starts, axis=1, dtype=np.int32) >= _LEAST_FILLED * lengths
    filled = np.pad(filled, ((drift, drift), (0, 0)))
    middles = (starts + lengths / 2) / width - 0.5
    best: NDArray[np.float64] | None = None
    for slope in np.linspace(-_STEEPEST, _STEEPEST, _SLOPES):
        rise = slope * width * middles
        rows = np.arange(reach)[:, None] + drift + np.rint(rise).astype(int)
        along = filled[rows, np.arange(_SEGMENTS)].mean(axis=1)
        found = np.flatnonzero(along >= _LEAST_ALONG)
        if len(found) and (best is None or found[-1] > np.median(best)):
            best = found[-1] + slope * width * ((np.arange(width) + 0.5) / width - 0.5)
    return best
