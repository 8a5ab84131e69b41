"""The first page of a plain TIFF file, in strips or tiles."""

import logging

import numpy as np
import tifffile
from numpy.typing import NDArray

from preprocessing.errors import SlideOpenError
from preprocessing.readers.flat_header import FlatHeader, plausible_mpp
from preprocessing.readers.flat_pixels import UPRIGHT, straight_alpha, to_eight_bits

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it finds in damaged files ends in our errors

_PHOTOMETRIC, _ORIENTATION, _X_RESOLUTION, _RESOLUTION_UNIT = 262, 274, 282, 296
_MICROMETERS = {2: 25400.0, 3: 10000.0}  # in an inch, in a centimeter
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_COLORS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _YCBCR: 3}
_JPEG = {6, 7}
_MULTIPLIED_ALPHA, _ALPHA = 1, 2
_SEPARATE_PLANES = 2
_WHOLE_NUMBERS = 1
_MAX_CHANNELS = 8
_MAX_TILE_PIXELS = 1 << 26


def tiff_header(path: str) -> FlatHeader:
    """See `FlatHeader`. What tifffile raises on damaged files is passed on.

    Raises:
        SlideOpenError: colors or numbers of a kind that is not read.
    """
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        colors = _COLORS.get(int(page.photometric))
        if _PHOTOMETRIC not in page.tags:
            raise SlideOpenError(f"{path} does not say what its colors are; copy the file anew")
        if page.samplesperpixel > _MAX_CHANNELS or page.tilewidth * page.tilelength > _MAX_TILE_PIXELS:
            shape = f"{page.samplesperpixel} channels in tiles of {page.tilewidth}x{page.tilelength} px"
            raise SlideOpenError(f"{path} has {shape}; save it as RGB or gray, in strips")
        plain = int(page.photometric) != _YCBCR or int(page.compression) in _JPEG  # then its decoder gives RGB
        if colors is None or page.samplesperpixel < colors or page.imagedepth != 1 or not plain:
            raise SlideOpenError(f"{path} has TIFF colors of kind {int(page.photometric)}; save it as RGB or gray")
        if int(page.sampleformat or _WHOLE_NUMBERS) != _WHOLE_NUMBERS or not 1 <= page.bitspersample <= 16:
            raise SlideOpenError(f"{path} has pixels of type {page.dtype}; save it with 8 or 16 bits")
        size = (int(page.imagewidth), int(page.imagelength))
        return FlatHeader.of("tiff", size, page.tags.valueof(_ORIENTATION, UPRIGHT), _mpp(page))


def tiff_pixels(path: str) -> NDArray[np.uint8]:
    """(h, w) gray, or (h, w, n) gray and alpha, RGB or RGBA, as stored. What tifffile raises is passed on."""
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        values = page.asarray(maxworkers=1)
        if page.samplesperpixel == 1:
            values = values[..., np.newaxis]
        elif int(page.planarconfig) == _SEPARATE_PLANES:
            values = np.moveaxis(values, 0, -1)
        if int(page.photometric) == _PALETTE:
            palette = (
                (page.colormap >> 8).astype(np.uint8).T
            )  # writers fill 16 bits in two ways, the upper byte suits both
            return palette[values[..., 0]]
        colors = _COLORS[int(page.photometric)]
        kinds = [int(kind) for kind in page.extrasamples]
        alpha = next((number for number, kind in enumerate(kinds) if kind in {_MULTIPLIED_ALPHA, _ALPHA}), None)
        chosen = list(range(colors)) + ([] if alpha is None else [colors + alpha])
        pixels = to_eight_bits(values[..., chosen], page.bitspersample)
        if int(page.photometric) == _WHITE_IS_ZERO:
            pixels[..., 0] = 255 - pixels[..., 0]
        return straight_alpha(pixels) if alpha is not None and kinds[alpha] == _MULTIPLIED_ALPHA else pixels


def _mpp(page: tifffile.TiffPage) -> float | None:
    fraction = page.tags.valueof(_X_RESOLUTION)
    micrometers = _MICROMETERS.get(int(page.tags.valueof(_RESOLUTION_UNIT, 2)))
    if micrometers is None or not isinstance(fraction, tuple) or not all(fraction):
        return None
    return plausible_mpp(micrometers * fraction[1] / fraction[0])
