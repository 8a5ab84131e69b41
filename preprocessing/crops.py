"""The pixels of patches: windows cut at every scale, normalized, and encoded or copied."""

import io
from collections.abc import Iterator

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image as PillowImage

from preprocessing.grid import scale_origins
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.stain.normalization import StainProfile, normalize
from preprocessing.tiling_settings import Image, Tiling
from preprocessing.tissue_judge import bounds

# One region is read for all windows of a block unless the windows cover less than this share of it: regions are read
# about three times as fast per pixel as single windows.
_WORTH_A_REGION = 1 / 3


def windows_at_scales(
    slide: ScaledSlide, origins: NDArray[np.int32], window: int, stain: StainProfile | None
) -> Iterator[Iterator[NDArray[np.uint8]]]:
    """Cut the same patches at every scale.

    Args:
        slide: open.
        origins: (n, 2) top-left corners, scale-0 pixels, n at least 1; neighbors, e.g. of one block.
        window: side of a patch at every scale, pixels.
        stain: profile that the pixels are normalized by; None leaves them as they are.

    Yields:
        Per scale, finest first, n arrays (window, window, 3) uint8 RGB, to be read only, in the order of `origins`.
        Memory: the bounding square of the patches at every scale, three bytes a pixel, and as much again at one scale;
        single windows where these are whole tiles of the slide or far apart.
    """
    for scale in range(len(slide.scales)):
        yield _windows(slide, scale, _at_scale(slide, scale, origins, window), window, stain)


def encoded_at_scales(
    slide: ScaledSlide, origins: NDArray[np.int32], tiling: Tiling, stain: StainProfile | None
) -> Iterator[list[bytes]]:
    """Cut patches as `windows_at_scales` does, with their margin, and encode each once; whole JPEG tiles are copied.

    Args:
        slide: open.
        origins: (n, 2) top-left corners, scale-0 pixels, n at least 1; neighbors, e.g. of one block.
        tiling: window, margin and image.
        stain: profile of the normalization, if any.

    Yields:
        Per scale, finest first, n encoded images in the order of `origins`.
    """
    side = tiling.stored_window
    corners = origins - np.int32(tiling.margin)
    for scale in range(len(slide.scales)):
        places = _at_scale(slide, scale, corners, side)
        if _may_copy(scale, tiling) and slide.on_whole_tiles(scale, places, side):
            yield [
                slide.tile_as_jpeg(scale, x, y, side) or encode(slide.window(scale, x, y, side), tiling.image)
                for x, y in places.tolist()
            ]
        else:
            yield [encode(pixels, tiling.image) for pixels in _windows(slide, scale, places, side, stain)]


def copies_tiles(slide: ScaledSlide, tiling: Tiling) -> bool:
    """Whether the windows of scale 0 are whole JPEG tiles of the slide, to be stored as they are; one tile is tried."""
    corner = tiling.offset[0]
    return _may_copy(0, tiling) and slide.tile_as_jpeg(0, corner, corner, tiling.window) is not None


def _may_copy(scale: int, tiling: Tiling) -> bool:
    """Only scale 0 lies on a grid that can be that of the slide; nothing may move a window or change a pixel."""
    if scale > 0 or not tiling.image.copy_tiles or tiling.image.format != "jpeg":
        return False
    if tiling.placement.kind != "grid":  # where a mark's window stands beside others would decide what is copied
        return False
    moved = tiling.margin or tiling.jitter or len(tiling.offset) > 1 or tiling.stride % tiling.window
    return tiling.stain.method == "none" and not moved


def _at_scale(slide: ScaledSlide, scale: int, origins: NDArray[np.int32], window: int) -> NDArray[np.int32]:
    if scale == 0:
        return origins
    return scale_origins(origins, window, slide.scales[0].downsample, slide.scales[scale].downsample)


def _windows(
    slide: ScaledSlide, scale: int, origins: NDArray[np.int32], side: int, stain: StainProfile | None
) -> Iterator[NDArray[np.uint8]]:
    x, y, width, height = bounds(origins, side)
    far_apart = len(origins) * side**2 < _WORTH_A_REGION * width * height
    if far_apart or slide.on_whole_tiles(scale, origins, side):
        for left, top in origins.tolist():
            yield _stained(slide.window(scale, left, top, side), stain)
        return
    region = _stained(slide.region(scale, x, y, width, height), stain)
    for left, top in (origins - np.array([x, y])).tolist():
        yield region[top : top + side, left : left + side]


def _stained(pixels: NDArray[np.uint8], stain: StainProfile | None) -> NDArray[np.uint8]:
    return pixels if stain is None else normalize(pixels, stain)


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
