"""Growing and shrinking masks by disks, fast: the disk is taken row by row, as bytes."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from preprocessing.tissue_rules.strips import strips

_BYTE_RADIUS: Final = 127  # up to here a distance and the longest step together fit a byte


def dilate(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Set every pixel within `radius` of a set one; nothing is set outside of the mask.

    The disk is that of `skimage.morphology.disk`: whole steps dx, dy with dx² + dy² <= radius². Each of its rows is a
    run, and whether a run around a pixel holds a set one follows from the distance to the nearest along the row; so
    the work is some 5 passes over bytes per step of the radius, where a footprint needs one per pixel of the disk.

    Args:
        mask: (h, w) bool.
        radius: pixels, from 0.

    Returns:
        (h, w) bool. Memory: 1 byte a pixel, and strips.
    """
    return _by_strips(mask, radius, lambda strip: _dilated(strip, radius))


def erode(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Keep the pixels that have no unset one within `radius`; what lies outside of the mask takes nothing away.

    Args:
        mask: (h, w) bool.
        radius: pixels, from 0.

    Returns:
        (h, w) bool. Memory: 1 byte a pixel, and strips.
    """
    return _by_strips(mask, radius, lambda strip: ~_dilated(~strip, radius))


def close(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Fill what no disk of `radius` fits into: a dilation, then an erosion.

    Args:
        mask: (h, w) bool.
        radius: pixels, from 0.

    Returns:
        (h, w) bool. Memory: 1 byte a pixel, and strips.
    """
    return _by_strips(mask, 2 * radius, lambda strip: ~_dilated(~_dilated(strip, radius), radius))


def _by_strips(
    mask: NDArray[np.bool_], halo: int, change: Callable[[NDArray[np.bool_]], NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    """Change a mask strip by strip, which see so many rows more above and below as the change reaches."""
    changed = np.empty_like(mask)
    for rows, seen in strips(mask.shape, halo):
        changed[rows] = change(mask[seen])[rows.start - seen.start :][: rows.stop - rows.start]
    return changed


def _dilated(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    if radius == 0:
        return mask
    away = _steps_along_rows(mask, radius)
    grown = away <= radius
    for dy in range(1, min(radius, len(mask) - 1) + 1):
        near = away <= math.isqrt(radius * radius - dy * dy)
        grown[dy:] |= near[:-dy]
        grown[:-dy] |= near[dy:]
    return grown


def _steps_along_rows(mask: NDArray[np.bool_], radius: int) -> NDArray[np.uint8 | np.uint16]:
    """Steps to the nearest set pixel of the same row, (h, w); above `radius` where there is none so near."""
    kind = np.uint8 if radius <= _BYTE_RADIUS else np.uint16
    away = np.where(mask, kind(0), kind(radius + 1))
    step = 1
    while step <= min(radius, mask.shape[1] - 1):  # doubling: after a round, all within 2 * step - 1 steps are known
        further = away + kind(step)
        np.minimum(away[:, step:], further[:, :-step], out=away[:, step:])
        np.minimum(away[:, :-step], further[:, step:], out=away[:, :-step])
        step *= 2
    return away
