"""What the pixels of a mask image mean: labels, or one class as 0/1 or 0/255."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from preprocessing.errors import AnnotationError
from preprocessing.readers.base import Reader
from preprocessing.readers.opening import FileState, file_state, known_choice, open_slide

HALF: Final = 128
"""In a 0/255 mask, the value from which a pixel is annotated: lossy compression blurs its edges, and the levels of a
pyramid may be averages."""

_JPEG_BLOCK: Final = 8
_OVERVIEW: Final = 1 << 26  # most pixels of a level that is read only to learn what the values mean


@dataclass(frozen=True, eq=False)
class MaskValues:
    """Turns the pixels of a mask into labels.

    Several classes: the pixel is the label. Such a mask must be stored without loss, and its levels without averaging,
    as ASAP does. One class: 0/1, or 0/255 with everything between rounded to the nearer of the two; it is 0/255 as
    soon as the region that is read or the coarsest level reaches `HALF`.

    Attributes:
        mask: open.
        classes: how many the recipe has.
    """

    mask: Reader
    classes: int

    def labels(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """Labels of a region.

        Args:
            level: to read.
            x, y, width, height: the region, pixels of that level; 0 beyond the mask.

        Returns:
            (height, width) uint8. Memory: about 9 bytes a pixel.

        Raises:
            AnnotationError: values that are no labels, naming them.
        """
        if self.classes > 1:
            return self._several(self.mask.read(level, x, y, width, height, background=0))
        # With a margin, so that the faint rim that JPEG gives an annotated place never comes without the place.
        margin = _JPEG_BLOCK
        framed = self.mask.read(level, x - margin, y - margin, width + 2 * margin, height + 2 * margin, background=0)
        return self._one(framed)[margin : margin + height, margin : margin + width]

    def _several(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        first = pixels[..., 0]
        if not ((first == pixels[..., 1]) & (first == pixels[..., 2])).all():
            raise AnnotationError(f"mask {self.mask.path} is colored; export it in gray, the value being the class")
        if first.max(initial=0) > self.classes:
            raise AnnotationError(
                f"mask {self.mask.path} holds {_listed(first[first > self.classes])}; the recipe's classes are 1 to "
                f"{self.classes}, and 0 is none; correct the mask or tiling.labels.classes"
            )
        return first

    def _one(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        brightest = np.maximum(np.maximum(pixels[..., 0], pixels[..., 1]), pixels[..., 2])
        peak = int(brightest.max(initial=0))
        if peak == 0:
            return brightest
        if peak >= HALF or self._reaches_255:
            return (brightest >= HALF).astype(np.uint8)
        if peak > 1:
            raise AnnotationError(
                f"mask {self.mask.path} holds {_listed(brightest[brightest > 1])}; the recipe has one class, whose "
                "mask is 0/1 or 0/255; name the other classes in tiling.labels.classes, or export the mask anew"
            )
        return brightest

    @cached_property
    def _reaches_255(self) -> bool:
        state = file_state(self.mask.path)
        return _overview_reaches_half(self.mask) if state is None else _known_to_reach_half(self.mask.path, state)


@lru_cache(maxsize=64)  # of a few hundred bytes each
def _known_to_reach_half(path: str, state: FileState) -> bool:
    """`_overview_reaches_half` of a file, read once for all units of its slide unless the file changes."""
    del state  # it is there to tell one file from a later one
    with open_slide(path, known_choice(path)) as mask:
        return _overview_reaches_half(mask)


def _overview_reaches_half(mask: Reader) -> bool:
    """Whether the coarsest level shows that the mask is 0/255. Memory: about 6 bytes a pixel of it, 400 MB at most."""
    last = len(mask.info.level_sizes) - 1
    width, height = mask.info.level_sizes[last]
    if width * height > _OVERVIEW:
        return False
    return bool((mask.read(last, 0, 0, width, height, background=0) >= HALF).any())


def _listed(values: NDArray[np.uint8]) -> str:
    different = [str(value) for value in np.unique(values)]
    listed = ", ".join(different[:8]) + (", …" if len(different) > 8 else "")
    return f"the value{'s' if len(different) > 1 else ''} {listed}"
