"""Reading through OpenSlide: every format that it knows."""

from contextlib import suppress

import numpy as np
import openslide
from numpy.typing import NDArray

from preprocessing.errors import SlideOpenError, SlideReadError
from preprocessing.readers.base import Reader, SlideInfo

CACHE_BYTES = 32 << 20
"""Decoded tiles that OpenSlide keeps by itself."""


class OpenSlideReader(Reader):
    """A slide that OpenSlide opens.

    Memory: the region that is read, twice (4 bytes and 3 bytes a pixel), and OpenSlide's cache of 32 MB.

    Args:
        path: of the file.

    Raises:
        SlideOpenError: the file is missing or in no format that OpenSlide knows.
    """

    name = "openslide"

    def __init__(self, path: str) -> None:
        try:
            self._handle = openslide.OpenSlide(path)
        except FileNotFoundError as error:
            raise SlideOpenError(f"{path} does not exist") from error
        except openslide.OpenSlideError as error:
            raise SlideOpenError(f"{path} cannot be opened: {error}; is it a whole, tiled slide file?") from error
        self.path = path
        properties = self._handle.properties
        self.info = SlideInfo(
            level_sizes=tuple(self._handle.level_dimensions),
            downsamples=tuple(self._handle.level_downsamples),
            mpp=_number(properties.get(openslide.PROPERTY_NAME_MPP_X)),
            objective_power=_number(properties.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER)),
            vendor=properties.get(openslide.PROPERTY_NAME_VENDOR, "unknown"),
        )

    def limit_cache(self, size: int) -> None:
        """Keep at most `size` bytes of decoded tiles from now on (`CACHE_BYTES` before); those kept so far go.

        Tiles are read faster where little is kept, since memory that was just given back is used again.
        """
        self._handle.set_cache(openslide.OpenSlideCache(size))

    def _read_inside(self, level: int, x: int, y: int, width: int, height: int, background: int) -> NDArray[np.uint8]:
        downsample = self.info.downsamples[level]
        location = (round(x * downsample), round(y * downsample))
        try:
            image = self._handle.read_region(location, level, (width, height))
        except openslide.OpenSlideError as error:
            raise SlideReadError(
                f"{self.path}: the region at level-0 pixel {location} cannot be read: {error}; copy the file anew"
            ) from error
        # A plain array in any case: the ICC profile that rides on the image stays behind.
        if image.getchannel("A").getextrema()[0] == 255:  # all of it is opaque
            return np.asarray(image.convert("RGB"))
        pixels = np.asarray(image)
        share = pixels[..., 3:].astype(np.float32) / 255
        return np.rint(pixels[..., :3] * share + background * (1 - share)).astype(np.uint8)

    def close(self) -> None:
        """See `Reader`."""
        self._handle.close()


def _number(text: str | None) -> float | None:
    with suppress(TypeError, ValueError):  # absent, or no number: not known
        value = float(text)  # type: ignore[arg-type]
        return value if value > 0 else None
    return None
