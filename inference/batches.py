"""Full batches of windows, across the borders of blocks."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from inference.engines.base import Images
from preprocessing.crops import windows_at_scales
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.stain.normalization import StainProfile


def full_batches(
    slide: ScaledSlide, places: Iterable[NDArray[np.int32]], window: int, size: int, stain: StainProfile | None
) -> Iterator[tuple[NDArray[np.int32], Images]]:
    """Cut windows block by block and hand them on in batches, of which the last alone may be smaller.

    Args:
        slide: open.
        places: of each block, (n, 2) top-left corners, scale-0 pixels, n at least 1.
        window: side at every scale, pixels.
        size: windows of a batch.
        stain: profile of the normalization, as in training; None for none.

    Yields:
        Corners (n, 2) int32, scale-0 pixels, and per scale (n, window, window, 3) uint8, in the order of `places`; both
        are overwritten by the next batch. Memory: one batch, and a block at every scale.
    """
    corners = np.empty((size, 2), np.int32)
    images = [np.empty((size, window, window, 3), np.uint8) for _ in slide.scales]
    filled = 0
    for block in places:
        of_scales = zip(*windows_at_scales(slide, block, window, stain), strict=True)
        for corner, pixels in zip(block, of_scales, strict=True):
            corners[filled] = corner
            for image, of_scale in zip(images, pixels, strict=True):
                image[filled] = of_scale
            filled += 1
            if filled == size:
                yield corners, images
                filled = 0
    if filled:
        yield corners[:filled], [image[:filled] for image in images]
