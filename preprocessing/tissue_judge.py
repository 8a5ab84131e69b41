"""How much tissue a window holds, by the rule of the recipe: from pixels, from the thumbnail's mask, or from both."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from preprocessing.scaled_slide import ScaledSlide
from preprocessing.tiling_settings import Tissue
from preprocessing.tissue_rules.gray import gray_tissue
from preprocessing.tissue_rules.histopath import histopath_fraction
from preprocessing.tissue_rules.windows import mask_fractions, window_sums


@dataclass(frozen=True)
class CoarseMask:
    """What was judged on the thumbnail.

    Attributes:
        pixels: (h, w) bool.
        downsample: level-0 pixels per pixel of the mask.
    """

    pixels: NDArray[np.bool_]
    downsample: float

    def fractions(self, origins: NDArray[np.int32], side: int, downsample: float) -> NDArray[np.float32]:
        """Set share of squares.

        Args:
            origins: (n, 2) top-left corners, scale-0 pixels.
            side: of the squares, scale-0 pixels.
            downsample: level-0 pixels per scale-0 pixel.

        Returns:
            (n,) float32.
        """
        return mask_fractions(self.pixels, origins * downsample, side * downsample, self.downsample)

    def stretched(self, x: int, y: int, width: int, height: int, downsample: float) -> NDArray[np.bool_]:
        """The mask under a region of scale 0, nearest pixel, (height, width) bool; False beyond the mask."""
        rows = self._under(y, height, downsample)
        columns = self._under(x, width, downsample)
        framed = np.pad(self.pixels, ((0, 1), (0, 1)))
        return framed[np.minimum(rows, len(framed) - 1)[:, None], np.minimum(columns, framed.shape[1] - 1)]

    def _under(self, start: int, count: int, downsample: float) -> NDArray[np.int64]:
        return ((np.arange(start, start + count) + 0.5) * (downsample / self.downsample)).astype(np.int64)


class TissueJudge(Protocol):
    """Says how much of a window is tissue."""

    def fractions(self, slide: ScaledSlide, origins: NDArray[np.int32], window: int) -> NDArray[np.float32]:
        """Share of tissue in each window.

        Args:
            slide: open.
            origins: (n, 2) top-left corners, scale-0 pixels, n at least 1; neighbors, e.g. of one block.
            window: side, scale-0 pixels.

        Returns:
            (n,) float32.
        """


@dataclass(frozen=True)
class ThumbnailJudge:
    """Takes the thumbnail's word: no pixel of scale 0 is read."""

    mask: CoarseMask

    def fractions(self, slide: ScaledSlide, origins: NDArray[np.int32], window: int) -> NDArray[np.float32]:
        """See `TissueJudge`."""
        return self.mask.fractions(origins, window, slide.scales[0].downsample)


@dataclass(frozen=True)
class GrayJudge:
    """Judges every scale-0 pixel by its gray level.

    Memory: about 8 bytes a pixel of the bounding square, less where a regular grid allows cells.
    """

    max_gray: float

    def fractions(self, slide: ScaledSlide, origins: NDArray[np.int32], window: int) -> NDArray[np.float32]:
        """See `TissueJudge`."""
        x, y, width, height = bounds(origins, window)
        tissue = gray_tissue(slide.region(0, x, y, width, height), self.max_gray)
        return _shares(tissue, origins, window)


@dataclass(frozen=True)
class UsableGrayJudge:
    """Judges every scale-0 pixel by its gray level, and counts those alone that the thumbnail shows as usable.

    A block without a usable pixel is not read. Memory: as `GrayJudge`.
    """

    max_gray: float
    usable: CoarseMask

    def fractions(self, slide: ScaledSlide, origins: NDArray[np.int32], window: int) -> NDArray[np.float32]:
        """See `TissueJudge`."""
        x, y, width, height = bounds(origins, window)
        usable = self.usable.stretched(x, y, width, height, slide.scales[0].downsample)
        if not usable.any():
            return np.zeros(len(origins), np.float32)
        tissue = gray_tissue(slide.region(0, x, y, width, height), self.max_gray)
        return _shares(tissue & usable, origins, window)


@dataclass(frozen=True)
class HistopathJudge:
    """Judges every window by the two tests of deep-histopath; where the thumbnail was judged, too, the lower counts."""

    usable: CoarseMask | None

    def fractions(self, slide: ScaledSlide, origins: NDArray[np.int32], window: int) -> NDArray[np.float32]:
        """See `TissueJudge`."""
        share = np.ones(len(origins), np.float32)
        if self.usable is not None:
            share = self.usable.fractions(origins, window, slide.scales[0].downsample)
        if not share.any():
            return share
        x, y, width, height = bounds(origins, window)
        region = slide.region(0, x, y, width, height)
        for place in np.flatnonzero(share):
            left, top = origins[place] - (x, y)
            found = histopath_fraction(region[top : top + window, left : left + window])
            share[place] = min(share[place], found)
        return share


def tissue_judge(tissue: Tissue, mask: CoarseMask | None) -> TissueJudge:
    """Pick the judge that a recipe asks for.

    Args:
        tissue: settings.
        mask: of the thumbnail, None where the settings need none.
    """
    if tissue.method == "histopath":
        return HistopathJudge(mask)
    if tissue.method == "gray":
        return GrayJudge(tissue.max_gray) if mask is None else UsableGrayJudge(tissue.max_gray, mask)
    if mask is None:
        raise ValueError(f"tissue.method {tissue.method} is judged on a thumbnail, and none was given")
    return ThumbnailJudge(mask)


def bounds(origins: NDArray[np.int32], side: int) -> tuple[int, int, int, int]:
    """The smallest rectangle around some squares: x, y, width, height."""
    x, y = (int(corner) for corner in origins.min(axis=0))
    width, height = (int(extent) + side for extent in np.ptp(origins, axis=0))
    return x, y, width, height


def _shares(pixels: NDArray[np.bool_], origins: NDArray[np.int32], side: int) -> NDArray[np.float32]:
    inside = origins - origins.min(axis=0)
    return (window_sums(pixels, inside, side) / side**2).astype(np.float32)
