"""A picture in memory as a slide with levels, so that whatever cuts tiles out of slides cuts them out of it."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import openslide
from numpy.typing import NDArray
from PIL import Image

_FINEST_SIDE: Final = 256  # halving ends where a level fits one tile


class FlatSlide(openslide.AbstractSlide):
    """Levels that halve by averages, as deep zoom halves: rounding up.

    Memory: 4 bytes a pixel.

    Args:
        pixels: (h, w, 3) uint8 RGB.
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        super().__init__()
        self._levels = [Image.fromarray(pixels)]
        while max(self._levels[-1].size) > _FINEST_SIDE:
            self._levels.append(self._levels[-1].reduce(2))

    @classmethod
    def detect_format(cls, filename: Any) -> str | None:  # noqa: ARG003
        """No files are read here."""
        return None

    def close(self) -> None:
        """Give the memory back."""
        self._levels.clear()

    @property
    def level_count(self) -> int:
        """How many levels."""
        return len(self._levels)

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        """Width and height of each level, pixels."""
        return tuple(level.size for level in self._levels)

    @property
    def level_downsamples(self) -> tuple[float, ...]:
        """Powers of two."""
        return tuple(float(2**number) for number in range(len(self._levels)))

    @property
    def properties(self) -> Mapping[str, str]:
        """None."""
        return {}

    @property
    def associated_images(self) -> Mapping[str, Image.Image]:
        """None."""
        return {}

    def get_best_level_for_downsample(self, downsample: float) -> int:
        """The coarsest level that is not coarser than asked for."""
        return max(number for number, own in enumerate(self.level_downsamples) if own <= max(downsample, 1.0))

    def read_region(self, location: tuple[int, int], level: int, size: tuple[int, int]) -> Image.Image:
        """A region as RGBA; `location` in level-0 pixels, `size` in those of the level."""
        left, top = (place >> level for place in location)
        return self._levels[level].crop((left, top, left + size[0], top + size[1])).convert("RGBA")
