"""Opening a slide and reading regions of it, through OpenSlide."""

from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import openslide
from numpy.typing import NDArray

from preprocessing.errors import MissingLevelError, SlideOpenError, SlideReadError, WindowLargerThanSlideError
from preprocessing.tiling_settings import Tiling

WHITE = 255


@dataclass(frozen=True)
class SlideInfo:
    """What a slide says of itself.

    Attributes:
        level_sizes: (width, height) of each level, pixels, finest first.
        downsamples: level-0 pixels per pixel of each level; not always powers of two.
        mpp: micrometers per level-0 pixel, None where the file does not say.
        objective_power: e.g. 40, None where the file does not say.
        vendor: OpenSlide's name of the format.
    """

    level_sizes: tuple[tuple[int, int], ...]
    downsamples: tuple[float, ...]
    mpp: float | None
    objective_power: float | None
    vendor: str

    @property
    def width(self) -> int:
        """Level-0 pixels."""
        return self.level_sizes[0][0]

    @property
    def height(self) -> int:
        """Level-0 pixels."""
        return self.level_sizes[0][1]


class Slide:
    """An open slide: a context manager that reads regions as RGB.

    Memory: the region that is read, twice (4 bytes and 3 bytes a pixel), and OpenSlide's cache of 32 MB.

    Args:
        path: of the file.

    Raises:
        SlideOpenError: the file is missing or in no format that OpenSlide knows.
    """

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

    def read(self, level: int, x: int, y: int, width: int, height: int, background: int = WHITE) -> NDArray[np.uint8]:
        """Read a region, which may reach beyond the slide.

        Args:
            level: pyramid level.
            x, y: top-left corner, pixels of that level.
            width, height: pixels of that level.
            background: gray level of what lies outside the slide or is transparent.

        Returns:
            (height, width, 3) uint8 RGB.

        Raises:
            SlideReadError: the pixels are damaged.
        """
        level_width, level_height = self.info.level_sizes[level]
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, level_width), min(y + height, level_height)
        if (left, top, right, bottom) == (x, y, x + width, y + height):
            return self._read_inside(level, x, y, width, height, background)
        region = np.full((height, width, 3), background, np.uint8)
        if left < right and top < bottom:
            inside = self._read_inside(level, left, top, right - left, bottom - top, background)
            region[top - y : bottom - y, left - x : right - x] = inside
        return region

    def thumbnail(self, longest: int) -> NDArray[np.uint8]:
        """The whole slide, its longer side at most `longest` pixels: (h, w, 3) uint8 RGB on white."""
        try:
            image = self._handle.get_thumbnail((longest, longest))  # composed on white, reads the nearest level
        except openslide.OpenSlideError as error:
            raise SlideReadError(f"{self.path}: its pixels cannot be read: {error}; copy the file anew") from error
        return np.asarray(image.convert("RGB"))

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.close()


def check_fit(slide: Slide, tiling: Tiling) -> None:
    """Make sure that a recipe can be applied to a slide, before any work is spent on it.

    Raises:
        SlideReadError: not even one pixel can be read.
        MissingLevelError: a scale asks for a level that the slide lacks.
        WindowLargerThanSlideError: no window fits.
    """
    slide.read(len(slide.info.level_sizes) - 1, 0, 0, 1, 1)
    levels = len(slide.info.level_sizes)
    missing = [scale.level for scale in tiling.scales if scale.level >= levels]
    if missing:
        raise MissingLevelError(
            f"the recipe asks for level {missing[0]}, the slide has levels 0 to {levels - 1}; "
            "choose other tiling.scales for it"
        )
    width, height = slide.info.level_sizes[tiling.scales[0].level]
    needed = tiling.offset + tiling.window
    if min(width, height) < needed:
        raise WindowLargerThanSlideError(
            f"the window of {tiling.window} px is larger than the slide, which is {width}x{height} px at level "
            f"{tiling.scales[0].level}; choose a smaller tiling.window or a finer level"
        )


def _number(text: str | None) -> float | None:
    with suppress(TypeError, ValueError):  # absent, or no number: not known
        value = float(text)  # type: ignore[arg-type]
        return value if value > 0 else None
    return None
