"""A slide made small: for finding tissue, and for people. Area-averaged, in bounded memory whatever the slide."""

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from preprocessing.readers.base import Reader

GUESSED_DOWNSAMPLE = 32.0
"""Taken where the resolution is not known: 8 micrometers a pixel on a slide scanned at 40x."""
FINE_ENOUGH = 1500
"""Longer side, pixels, that a thumbnail keeps where its resolution is but guessed: a small image keeps its detail."""
_BLOCK_PIXELS = 1 << 22


@dataclass(frozen=True)
class Thumbnail:
    """A whole slide, made small.

    Attributes:
        rgb: (h, w, 3) uint8, on white.
        downsample: level-0 pixels per thumbnail pixel.
    """

    rgb: NDArray[np.uint8]
    downsample: float


def slide_thumbnail(slide: Reader, mpp: float | None, target_mpp: float = 8.0, longest: int = 8192) -> Thumbnail:
    """The slide at about `target_mpp`, never coarser unless it would be too large.

    Made from the coarsest level that is fine enough, averaged over squares of a whole number of pixels. A slide that
    would come out with a longer side of less than `FINE_ENOUGH` pixels stays finer, where its mpp is but guessed.

    Args:
        slide: an open slide.
        mpp: micrometers per level-0 pixel; where it is None the slide is taken for one of 0.25.
        target_mpp: wanted micrometers per thumbnail pixel.
        longest: bound of the longer side, pixels, which goes before all else.

    Raises:
        SlideReadError: the pixels are damaged.

    Memory: the thumbnail, a block of 12 MB, and the reader's own.
    """
    guessed = min(GUESSED_DOWNSAMPLE, max(slide.info.level_sizes[0]) / FINE_ENOUGH)
    wanted = max(1.0, guessed if mpp is None else target_mpp / mpp)
    level = _coarsest_level(slide, wanted)
    downsample = slide.info.downsamples[level]
    factor = max(1, floor(wanted / downsample + 1e-3), ceil(max(slide.info.level_sizes[level]) / longest))
    return Thumbnail(_averaged(slide, level, factor), downsample * factor)


def slide_picture(slide: Reader, longest: int) -> NDArray[np.uint8]:
    """The whole slide as a picture for people: (h, w, 3) uint8 on white, its longer side `longest` pixels at most.

    Raises:
        SlideReadError: the pixels are damaged.

    Memory: up to 4 times the picture, a block of 12 MB, and the reader's own.
    """
    width, height = slide.info.level_sizes[0]
    wanted = max(1.0, max(width, height) / longest)
    level = _coarsest_level(slide, wanted)
    factor = max(1, floor(max(slide.info.level_sizes[level]) / (2 * longest)))  # the rest, at least half, by fractions
    picture = Image.fromarray(_averaged(slide, level, factor))
    size = (max(1, round(width / wanted)), max(1, round(height / wanted)))
    return np.asarray(picture.resize(size, Image.Resampling.BOX) if size != picture.size else picture)


def _coarsest_level(slide: Reader, wanted: float) -> int:
    """The level with the largest downsample that is not above the wanted one."""
    fine = [number for number, downsample in enumerate(slide.info.downsamples) if downsample <= wanted * (1 + 1e-3)]
    return max(fine, key=lambda number: slide.info.downsamples[number], default=0)


def _averaged(slide: Reader, level: int, factor: int) -> NDArray[np.uint8]:
    """A level, averaged over squares of `factor` pixels; at the right and lower rim over what is left of them."""
    width, height = slide.info.level_sizes[level]
    small = np.empty((ceil(height / factor), ceil(width / factor), 3), np.uint8)
    block_height = factor * max(1, 1024 // factor)
    block_width = factor * max(1, _BLOCK_PIXELS // (block_height * factor))
    for y in range(0, height, block_height):
        for x in range(0, width, block_width):
            block = slide.read(level, x, y, min(block_width, width - x), min(block_height, height - y))
            part = np.asarray(Image.fromarray(block).reduce(factor))
            top, left = y // factor, x // factor
            small[top : top + part.shape[0], left : left + part.shape[1]] = part
    return small
