"""Otsu's threshold on the saturation of the thumbnail: stained tissue against glass."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from preprocessing.tissue_rules.color import SATURATION_FLOOR, saturation_plane
from preprocessing.tissue_rules.disks import close
from preprocessing.tissue_rules.pieces import large_pieces, without_small_holes
from preprocessing.tissue_rules.sizes import area_pixels, pixels
from preprocessing.tissue_rules.strips import strips

_TINT_OF_GLASS: Final = 0.1
_ABOVE_GLASS: Final = 0.07
_CLOSING_UM: Final = 32
_LEAST_PIECE_UM: Final = 48
_LARGEST_HOLE_UM: Final = 200


def otsu_tissue(thumbnail: NDArray[np.uint8], mpp: float | None) -> NDArray[np.bool_]:
    """Find what is stained, as Wang et al. 2016 (arXiv 1606.05718) and CLAM (Lu et al. 2021) do.

    The HSV saturation is smoothed by a median of 3 x 3 and cut by Otsu's threshold; gaps narrower than twice 32 µm
    are closed, pieces smaller than a square of 48 µm dropped, holes smaller than a square of 200 µm filled.
    Without `mpp` these are the pixels of a thumbnail of 8 µm.

    Args:
        thumbnail: (h, w, 3) uint8, white outside of the scan.
        mpp: micrometers per pixel of the thumbnail.

    Returns:
        (h, w) bool. Memory: 2 bytes a pixel.
    """
    return otsu_tissue_of_strips(thumbnail.shape[:2], [thumbnail], mpp)


def otsu_tissue_of_strips(
    shape: tuple[int, ...], rgb_strips: Iterable[NDArray[np.uint8]], mpp: float | None
) -> NDArray[np.bool_]:
    """`otsu_tissue` of a thumbnail that comes in pieces and is never whole.

    Args:
        shape: height and width of the thumbnail.
        rgb_strips: its rows from top to bottom, (any, w, 3) uint8 each; gone through once.
        mpp: as for `otsu_tissue`.

    Returns:
        (h, w) bool. Memory: 2 bytes a pixel, strips, and what makes the pieces; runs of tissue are too few to count.
    """
    smooth = median_of_nine(saturation_plane(shape, rgb_strips))
    levels = np.arange(256, dtype=np.uint8)
    lowest = np.argmax(levels > 255 * saturation_threshold(smooth)).astype(np.uint8)
    mask = np.greater_equal(smooth, lowest, out=smooth.view(np.bool_))  # takes the place of the plane
    del smooth
    mask = close(mask, pixels(_CLOSING_UM, mpp))
    mask = large_pieces(mask, area_pixels(_LEAST_PIECE_UM, mpp))
    return without_small_holes(mask, area_pixels(_LARGEST_HOLE_UM, mpp))


def saturation_threshold(saturations: NDArray[np.uint8]) -> float:
    """Otsu's threshold, where there are two classes to part.

    Otsu (1979) parts any image, noise of bare glass and tissue alone, too. So the threshold is never below 0.07, under
    which nothing is stained. Where even the lower class has color (mean above 0.1) there is no glass in view, and
    0.07 it is. Else it lies at most 0.07 above the glass, so that deep stain does not push pale tissue out.

    Args:
        saturations: (h, w) uint8, steps of 1/255.

    Returns:
        0.07 to 0.17, share of full saturation; what is above is tissue.
    """
    counts = np.zeros(256, np.int64)
    for rows, _ in strips(saturations.shape):  # a count takes 8 bytes a pixel
        counts += np.bincount(saturations[rows].ravel(), minlength=256)
    if np.count_nonzero(counts) < 2:
        return SATURATION_FLOOR
    levels = np.arange(256)
    otsu = threshold_otsu(hist=(counts, levels))  # type: ignore[no-untyped-call]
    lower = levels <= otsu
    glass = float(np.average(levels[lower], weights=counts[lower])) / 255
    if glass > _TINT_OF_GLASS:
        return SATURATION_FLOOR
    return max(SATURATION_FLOOR, min(float(otsu) / 255, glass + _ABOVE_GLASS))


def median_of_nine(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Median of 3 x 3 pixels, borders mirrored; by 19 exchanges of whole planes (Smith 1996), fast on bytes.

    Args:
        plane: (h, w) uint8.

    Returns:
        (h, w) uint8. Memory: 1 byte a pixel, and strips.
    """
    out = np.empty_like(plane)
    for rows, seen in strips(plane.shape, 1):
        above, below = 1 - (rows.start - seen.start), 1 - (seen.stop - rows.stop)
        out[rows] = _median_of_strip(np.pad(plane[seen], ((above, below), (1, 1)), mode="symmetric"))
    return out


def _median_of_strip(framed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Sort each column of three; the median is that of the largest low, the middle mid and the smallest high."""
    low, mid, high = _sorted(framed[:-2], framed[1:-1], framed[2:])
    largest_low = np.maximum(np.maximum(low[:, :-2], low[:, 1:-1]), low[:, 2:])
    smallest_high = np.minimum(np.minimum(high[:, :-2], high[:, 1:-1]), high[:, 2:])
    middle = _sorted(mid[:, :-2], mid[:, 1:-1], mid[:, 2:])[1]
    return _sorted(largest_low, middle, smallest_high)[1]


def _sorted(
    a: NDArray[np.uint8], b: NDArray[np.uint8], c: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Three planes, each pixel in ascending order."""
    small, large = np.minimum(a, b), np.maximum(a, b)
    return np.minimum(small, c), np.maximum(small, np.minimum(large, c)), np.maximum(large, c)
