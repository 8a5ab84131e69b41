"""What is annotated, pixel by pixel at scale 0: the truth under a slide, from polygons, a mask, or none."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine

from preprocessing.annotations import Region, read_regions
from preprocessing.errors import AnnotationError, SlideError
from preprocessing.inventory import SlideEntry
from preprocessing.slides import Slide, SlideInfo
from preprocessing.tiling_settings import Labels


class Truth(Protocol):
    """Where tumor is known to be, and known not to be."""

    def annotated(self, x: int, y: int, width: int, height: int) -> NDArray[np.bool_]:
        """Which pixels of a region are tumor.

        Args:
            x, y, width, height: the region, scale-0 pixels.

        Returns:
            (height, width) bool.
        """


@dataclass(frozen=True)
class PolygonTruth:
    """A scale-0 pixel is annotated when its center lies inside a positive region and inside no excluded one.

    Attributes:
        regions: level-0 pixels.
        downsample: level-0 pixels per scale-0 pixel.
    """

    regions: Sequence[Region]
    downsample: float

    def annotated(self, x: int, y: int, width: int, height: int) -> NDArray[np.bool_]:
        """See `Truth`. Memory: one byte a pixel of the region."""
        scale = self.downsample
        to_level_0 = Affine(scale, 0, x * scale, 0, scale, y * scale)
        by_turn = sorted(self.regions, key=lambda region: not region.positive)  # exclusions are burnt last
        if not by_turn:
            return np.zeros((height, width), bool)
        shapes = [(region.geometry, int(region.positive)) for region in by_turn]
        return rasterize(shapes, out_shape=(height, width), transform=to_level_0, dtype="uint8") > 0


@dataclass(frozen=True)
class MaskTruth:
    """A scale-0 pixel is annotated when the mask pixel under its center is not 0.

    Attributes:
        mask: an open slide of the same level-0 size, 0 where nothing is annotated.
        level: of the mask that is read: the coarsest one not coarser than scale 0.
        ratio: mask pixels (of that level) per scale-0 pixel.
    """

    mask: Slide
    level: int
    ratio: float

    def annotated(self, x: int, y: int, width: int, height: int) -> NDArray[np.bool_]:
        """See `Truth`. Memory: about 8 bytes per mask pixel of the region."""
        columns = np.floor((np.arange(x, x + width) + 0.5) * self.ratio).astype(int)
        rows = np.floor((np.arange(y, y + height) + 0.5) * self.ratio).astype(int)
        left, top = int(columns[0]), int(rows[0])
        span = (int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)
        pixels = self.mask.read(self.level, left, top, *span, background=0)
        return pixels[np.ix_(rows - top, columns - left)].any(axis=-1)


class NoTumor:
    """The truth of a slide known to hold no tumor."""

    def annotated(self, x: int, y: int, width: int, height: int) -> NDArray[np.bool_]:  # noqa: ARG002
        """See `Truth`: nothing."""
        return np.zeros((height, width), bool)


@contextmanager
def open_truth(entry: SlideEntry, info: SlideInfo, level: int, labels: Labels) -> Iterator[Truth | None]:
    """Open the truth of a slide: polygons or mask as the recipe prefers, none where nobody looked.

    Args:
        entry: the slide and what stands beside it.
        info: of the slide.
        level: scale 0.
        labels: the recipe's rules.

    Yields:
        The truth, or None for a slide that is neither annotated nor known to be normal.

    Raises:
        AnnotationError: damaged, another size than the slide, or tumor drawn on a slide declared normal.
    """
    use_mask = entry.mask is not None and (labels.source == "mask" or entry.annotation is None)
    if use_mask and entry.mask is not None:
        with _open_mask(entry.mask) as mask:
            yield _mask_truth(mask, info, level)
    elif entry.annotation is not None:
        regions = read_regions(entry.annotation)
        if entry.is_normal and any(region.positive for region in regions):
            raise AnnotationError(f"{entry.slide_id} is declared normal, yet {entry.annotation} shows tumor")
        yield PolygonTruth(regions, info.downsamples[level])
    else:
        yield NoTumor() if entry.is_normal else None


def _open_mask(path: str) -> Slide:
    try:
        return Slide(path)
    except SlideError as error:
        raise AnnotationError(f"mask: {error}") from error


def _mask_truth(mask: Slide, info: SlideInfo, level: int) -> MaskTruth:
    if mask.info.level_sizes[0] != info.level_sizes[0]:
        sizes = [f"{width}x{height}" for width, height in (mask.info.level_sizes[0], info.level_sizes[0])]
        raise AnnotationError(f"mask {mask.path} is {sizes[0]} px, its slide {sizes[1]}; export it at level 0")
    wanted = info.downsamples[level]
    fitting = [k for k, downsample in enumerate(mask.info.downsamples) if downsample <= wanted * 1.001]
    return MaskTruth(mask, fitting[-1], wanted / mask.info.downsamples[fitting[-1]])
