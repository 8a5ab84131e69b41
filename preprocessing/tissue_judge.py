"""How much tissue a window holds, by the rule of the recipe: from pixels, from the thumbnail's mask, or from both."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from preprocessing.scaled_slide import ScaledSlide
from preprocessing.tiling_settings import Tissue
from preprocessing.tissue_rules.bright import bright_tissue
from preprocessing.tissue_rules.gray import gray_tissue
from preprocessing.tissue_rules.histopath import histopath_fraction
from preprocessing.tissue_rules.windows import mask_fractions, window_sums

PixelRule = Callable[[NDArray[np.uint8]], NDArray[np.bool_]]
"""From (h, w, 3) pixels to (h, w): which are tissue."""


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
        corners = origins * downsample
        left, top = (int(corner) for corner in corners.min(axis=0) // self.downsample)
        right, bottom = (int(corner) + 1 for corner in (corners.max(axis=0) + side * downsample) // self.downsample)
        near = self.pixels[top:bottom, left:right]  # sums over the whole mask would cost more than reading the block
        if not near.any():
            return np.zeros(len(origins), np.float32)
        inside = corners - np.array([left, top]) * self.downsample
        return mask_fractions(near, inside, side * downsample, self.downsample)

    def stretched(self, x: int, y: int, width: int, height: int, downsample: float) -> NDArray[np.bool_]:
        """The mask under a region of scale 0, nearest pixel, (height, width) bool; False beyond the mask."""
        rows, columns = (
            ((np.arange(start, start + count) + 0.5) * (downsample / self.downsample)).astype(np.int64)
            for start, count in ((y, height), (x, width))
        )
        high, wide = self.pixels.shape
        known = self.pixels[np.minimum(rows, high - 1)[:, None], np.minimum(columns, wide - 1)]
        known[rows >= high] = False
        known[:, columns >= wide] = False
        return known


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
class PixelJudge:
    """Judges every scale-0 pixel by itself.

    Memory: about 8 bytes a pixel of the bounding square, less where a regular grid allows cells.
    """

    is_tissue: PixelRule

    def fractions(self, slide: ScaledSlide, origins: NDArray[np.int32], window: int) -> NDArray[np.float32]:
        """See `TissueJudge`."""
        x, y, width, height = bounds(origins, window)
        tissue = self.is_tissue(slide.region(0, x, y, width, height))
        return _shares(tissue, origins, window)


@dataclass(frozen=True)
class UsablePixelJudge:
    """Judges every scale-0 pixel by itself, and counts those alone that the thumbnail shows as usable.

    A block without a usable pixel is not read. Memory: as `PixelJudge`.
    """

    is_tissue: PixelRule
    usable: CoarseMask

    def fractions(self, slide: ScaledSlide, origins: NDArray[np.int32], window: int) -> NDArray[np.float32]:
        """See `TissueJudge`."""
        x, y, width, height = bounds(origins, window)
        usable = self.usable.stretched(x, y, width, height, slide.scales[0].downsample)
        if not usable.any():
            return np.zeros(len(origins), np.float32)
        tissue = self.is_tissue(slide.region(0, x, y, width, height))
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
    if tissue.method in {"gray", "bright"}:
        gray, bright = partial(gray_tissue, max_gray=tissue.max_gray), partial(bright_tissue, min_gray=tissue.min_gray)
        rule = gray if tissue.method == "gray" else bright
        return PixelJudge(rule) if mask is None else UsablePixelJudge(rule, mask)
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
