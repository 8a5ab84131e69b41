"""The pixels of patches: windows cut at every scale, and their encoding."""

import io
from collections.abc import Iterator

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image as PillowImage

from preprocessing.grid import scale_origins
from preprocessing.slides import Slide
from preprocessing.tiling_settings import Image, Tiling

# One region is read for all windows of a block unless the windows cover less than this share of it: OpenSlide reads
# regions about three times as fast per pixel as single windows.
_WORTH_A_REGION = 1 / 3


def windows_at_scales(slide: Slide, origins: NDArray[np.int32], tiling: Tiling) -> Iterator[list[NDArray[np.uint8]]]:
    """Cut the same patches at every scale.

    Args:
        slide: open.
        origins: (n, 2) top-left corners, scale-0 pixels, n at least 1; neighbors, e.g. of one block.
        tiling: scales and window.

    Yields:
        Per scale, finest first, n arrays (window, window, 3) uint8 RGB in the order of `origins`. Memory: the
        bounding square of the patches at one scale, seven bytes a pixel.
    """
    downsamples = slide.info.downsamples
    finest = downsamples[tiling.scales[0].level]
    for scale in tiling.scales:
        at_scale = scale_origins(origins, tiling.window, finest, downsamples[scale.level])
        yield _windows(slide, scale.level, at_scale, tiling.window)


def _windows(slide: Slide, level: int, origins: NDArray[np.int32], side: int) -> list[NDArray[np.uint8]]:
    x, y = (int(corner) for corner in origins.min(axis=0))
    width, height = (int(extent) for extent in np.ptp(origins, axis=0) + side)
    if len(origins) * side**2 < _WORTH_A_REGION * width * height:
        return [slide.read(level, int(left), int(top), side, side) for left, top in origins]
    region = slide.read(level, x, y, width, height)
    return [region[top : top + side, left : left + side] for left, top in origins - np.array([x, y])]


def encode(pixels: NDArray[np.uint8], image: Image) -> bytes:
    """Encode one window as the recipe says.

    Args:
        pixels: (h, w, 3) uint8 RGB.
        image: format, quality and chroma subsampling.
    """
    if image.format == "jpeg":
        data = np.ascontiguousarray(pixels)
        return bytes(simplejpeg.encode_jpeg(data, image.quality, "RGB", image.subsampling))
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
