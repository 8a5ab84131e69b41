"""What is annotated, pixel by pixel at scale 0: the truth under a slide, from polygons, a mask, or none."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from preprocessing.annotations import EXCLUDED, Region, read_regions, refuse_outside
from preprocessing.errors import AnnotationError, SlideError
from preprocessing.mask_values import MaskValues
from preprocessing.polygon_raster import BurnOrder, burn
from preprocessing.readers.base import Reader, SlideInfo
from preprocessing.readers.opening import known_choice, open_slide
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Labels


class Truth(Protocol):
    """Where each class is known to be, and where none is."""

    def labels(self, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """Which class lies under the center of each pixel of a region.

        Args:
            x, y, width, height: the region, scale-0 pixels; it may reach beyond the slide.

        Returns:
            (height, width) uint8: the label of the class, from 1, or 0 for none.
        """

    def nothing_near(self, x: int, y: int, width: int, height: int) -> bool:
        """Whether a region is known to hold nothing, without looking at its pixels; arguments as for `labels`."""


@dataclass(frozen=True, eq=False)
class PolygonTruth:
    """A scale-0 pixel belongs to a class when its center lies inside a region of the class and inside no excluded one.

    Where regions of two classes overlap, the later class of the recipe counts.

    Attributes:
        order: the polygons, level-0 pixels.
        downsample: level-0 pixels per scale-0 pixel.
    """

    order: BurnOrder
    downsample: float

    def labels(self, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """See `Truth`. Memory: see `burn`."""
        return burn(self.order, x, y, width, height, self.downsample)

    def nothing_near(self, x: int, y: int, width: int, height: int) -> bool:
        """See `Truth`."""
        scale = self.downsample
        box = (x * scale, y * scale, (x + width) * scale, (y + height) * scale)
        return not self.order.meets(box).any()


@dataclass(frozen=True, eq=False)
class MaskTruth:
    """A scale-0 pixel has the label of the mask pixel under its center.

    Attributes:
        values: of an open mask of the same level-0 size as the slide.
        level: of the mask that is read: the coarsest one not coarser than scale 0.
        ratio: mask pixels (of that level) per scale-0 pixel.
    """

    values: MaskValues
    level: int
    ratio: float

    def labels(self, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """See `Truth`. Memory: about 9 bytes per mask pixel of the region."""
        columns = np.floor((np.arange(x, x + width) + 0.5) * self.ratio).astype(int)
        rows = np.floor((np.arange(y, y + height) + 0.5) * self.ratio).astype(int)
        left, top = int(columns[0]), int(rows[0])
        span = (int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)
        found = self.values.labels(self.level, left, top, *span)
        if span == (width, height):
            return found
        return found[np.ix_(rows - top, columns - left)]

    def nothing_near(self, x: int, y: int, width: int, height: int) -> bool:  # noqa: ARG002
        """See `Truth`: a mask has to be read."""
        return False


class NoTumor:
    """The truth of a slide known to hold no tumor."""

    def labels(self, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:  # noqa: ARG002
        """See `Truth`: nothing."""
        return np.zeros((height, width), np.uint8)

    def nothing_near(self, x: int, y: int, width: int, height: int) -> bool:  # noqa: ARG002
        """See `Truth`."""
        return True


@dataclass(frozen=True, eq=False)
class DeclaredNormal:
    """The mask of a slide that is declared normal: nothing may be annotated in it, as far as it is read.

    Attributes:
        truth: of the mask.
        conflict: the message where it shows something.
    """

    truth: Truth
    conflict: str

    def labels(self, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """See `Truth`: nothing.

        Raises:
            AnnotationError: something is annotated in this region.
        """
        found = self.truth.labels(x, y, width, height)
        if found.any():
            raise AnnotationError(self.conflict)
        return found

    def nothing_near(self, x: int, y: int, width: int, height: int) -> bool:  # noqa: ARG002
        """See `Truth`: the mask has to be read, as it might contradict."""
        return False


@dataclass(frozen=True)
class WholeSlide:
    """The truth of a slide that is labeled as a whole: every pixel has its label."""

    label: int

    def labels(self, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:  # noqa: ARG002
        """See `Truth`."""
        return np.full((height, width), self.label, np.uint8)

    def nothing_near(self, x: int, y: int, width: int, height: int) -> bool:  # noqa: ARG002
        """See `Truth`."""
        return self.label == 0


@contextmanager
def open_truth(entry: SlideEntry, info: SlideInfo, downsample: float, labels: Labels) -> Iterator[Truth | None]:
    """Open the truth of a slide: its label, or polygons or mask as the recipe prefers, none where nobody looked.

    Args:
        entry: the slide and what stands beside it.
        info: of the slide.
        downsample: level-0 pixels per scale-0 pixel, of a level or between levels.
        labels: the recipe's rules.

    Yields:
        The truth, or None for a slide that is neither labeled nor annotated nor known to be normal. Memory: the
        annotation.

    Raises:
        AnnotationError: damaged, another size than the slide, outside the slide, or tumor drawn on a slide declared
            normal (of a mask this and wrong values are found when its region is read).
    """
    if entry.label is not None:
        yield WholeSlide(entry.label)
    elif entry.mask is not None and mask_counts(entry, labels):
        with _open_mask(entry.mask) as mask:
            truth = _mask_truth(mask, info, downsample, labels)
            yield DeclaredNormal(truth, _conflict(entry, entry.mask)) if entry.is_normal else truth
    elif entry.annotation is not None:
        yield PolygonTruth(BurnOrder.of(regions_of(entry, entry.annotation, info, labels)), downsample)
    else:
        yield NoTumor() if entry.is_normal else None


def mask_counts(entry: SlideEntry, labels: Labels) -> bool:
    """Whether the mask of a slide counts, not its polygons."""
    return entry.mask is not None and (labels.source == "mask" or entry.annotation is None)


def regions_of(entry: SlideEntry, annotation: str, info: SlideInfo, labels: Labels) -> tuple[Region, ...]:
    """The drawn regions of a slide, that belong to it.

    Args:
        entry: the slide.
        annotation: its own.
        info: of the slide.
        labels: the recipe's rules.

    Raises:
        AnnotationError: as `open_truth`.
    """
    regions = _regions(annotation, entry.fingerprint, labels.model_dump_json())
    refuse_outside(regions, info.width, info.height, annotation)
    if entry.is_normal and any(region.label != EXCLUDED for region in regions):
        raise AnnotationError(_conflict(entry, annotation))
    return regions


def _conflict(entry: SlideEntry, path: str) -> str:
    return f"{entry.slide_id} is declared normal, yet {path} shows tumor; correct the one or the other"


@lru_cache(maxsize=1)  # a worker's units come slide by slide
def _regions(path: str, fingerprint: str, labels: str) -> tuple[Region, ...]:
    """The regions of an annotation, read once for all units of its slide.

    Args:
        path: of the annotation.
        fingerprint: of the slide's entry; a changed file has another one.
        labels: the recipe's settings as JSON.
    """
    del fingerprint  # it is there to tell one file from a later one
    return read_regions(path, Labels.model_validate_json(labels))


def _open_mask(path: str) -> Reader:
    try:
        return open_slide(path, known_choice(path))  # a mask is opened for every unit of its slide
    except SlideError as error:
        raise AnnotationError(f"mask: {error}") from error


def _mask_truth(mask: Reader, info: SlideInfo, downsample: float, labels: Labels) -> MaskTruth:
    if mask.info.level_sizes[0] != info.level_sizes[0]:
        sizes = [f"{width}x{height}" for width, height in (mask.info.level_sizes[0], info.level_sizes[0])]
        raise AnnotationError(f"mask {mask.path} is {sizes[0]} px, its slide {sizes[1]}; export it at level 0")
    fitting = [k for k, finer in enumerate(mask.info.downsamples) if finer <= downsample * 1.001]
    level = fitting[-1] if fitting else 0
    return MaskTruth(MaskValues(mask, len(labels.classes)), level, downsample / mask.info.downsamples[level])
