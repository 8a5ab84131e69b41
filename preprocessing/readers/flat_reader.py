"""Images that are no slides, held whole: PNG, JPEG and plain TIFF, as mammograms and photographs often are."""

import numpy as np
from numpy.typing import NDArray

from preprocessing.errors import SlideOpenError
from preprocessing.readers.base import Reader, SlideInfo
from preprocessing.readers.flat_header import FlatHeader
from preprocessing.readers.flat_image import read_header, read_pixels

MAX_PIXELS = 512 << 20


class FlatReader(Reader):
    """An image of one level.

    The first page of a TIFF counts. Values of more than 8 bits are scaled by their declared range: 16 bits by
    `value * 255 / 65535`, rounded. An image that keeps 12 bits in 16 and does not say so comes out dark; so it does in
    every viewer that goes by the file. Alpha is composed on the background of each read. Orientation (EXIF, TIFF) is
    applied: x and y are those of the upright image.

    Opening reads the header only, the first `read` decodes.

    Memory: 3 bytes a pixel (4 with alpha), and twice the file's own values while it is decoded.

    Args:
        path: of the file.

    Raises:
        SlideOpenError: the file is missing, of no such kind, or larger than `MAX_PIXELS`.
    """

    name = "flat"

    def __init__(self, path: str) -> None:
        self.path = path
        self._header: FlatHeader = read_header(path)
        width, height = self._header.width, self._header.height
        if width * height > MAX_PIXELS:
            raise SlideOpenError(
                f"{path} is a flat image of {width}x{height} px, more than the {MAX_PIXELS:,} px that are held at "
                "once; convert it to a tiled pyramid TIFF"
            )
        self.info = SlideInfo(
            level_sizes=((width, height),),
            downsamples=(1.0,),
            mpp=self._header.mpp,
            objective_power=None,
            vendor=self._header.kind,
        )
        self._pixels: NDArray[np.uint8] | None = None

    def close(self) -> None:
        """See `Reader`."""
        self._pixels = None

    def _read_inside(self, level: int, x: int, y: int, width: int, height: int, background: int) -> NDArray[np.uint8]:
        del level  # there is but one
        if self._pixels is None:
            self._pixels = read_pixels(self.path, self._header)
            self._pixels.flags.writeable = False
        region = self._pixels[y : y + height, x : x + width]
        if region.shape[2] == 3:
            return np.ascontiguousarray(region)
        share = region[..., 3:].astype(np.float32) / 255
        return np.rint(region[..., :3] * share + background * (1 - share)).astype(np.uint8)
