"""Bringing mammograms and the masks of their regions to one size: aspect kept, the rest padded evenly with black."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixel = TypeVar("Pixel", bound=np.generic)


@dataclass(frozen=True)
class Fit:
    """Where an image comes to lie in the middle of a square canvas.

    Attributes:
        width, height: of the scaled image, pixels.
        left, top: of its corner on the canvas.
        side: of the canvas.
    """

    width: int
    height: int
    left: int
    top: int
    side: int

    @classmethod
    def within(cls, width: int, height: int, box: tuple[int, int]) -> "Fit":
        """The largest size of the same aspect within a box.

        Args:
            width, height: of the image.
            box: height and width; the canvas is a square of the larger one, the box its middle.
        """
        factor = min(box[0] / height, box[1] / width)
        wide, high = max(1, round(width * factor)), max(1, round(height * factor))
        side = max(box)
        return cls(wide, high, (side - wide) // 2, (side - high) // 2, side)

    def image(self, values: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """(side, side) uint16, each pixel the mean of what lies under it."""
        return self._placed(np.rint(self._averaged(values)).astype(np.uint16))

    def region(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(side, side) bool, set where any of the region lies under a pixel, so that small ones do not vanish."""
        return self._placed(self._averaged(mask) > 0)

    def _averaged(self, values: NDArray[np.uint16] | NDArray[np.bool_]) -> NDArray[np.float32]:
        scaled = Image.fromarray(values.astype(np.float32)).resize((self.width, self.height), Image.Resampling.BOX)
        return np.asarray(scaled, np.float32)

    def _placed(self, scaled: NDArray[Pixel]) -> NDArray[Pixel]:
        canvas = np.zeros((self.side, self.side), scaled.dtype)
        canvas[self.top : self.top + self.height, self.left : self.left + self.width] = scaled
        return canvas
