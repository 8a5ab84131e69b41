"""Whether direct reading gives what OpenSlide gives for one slide, judged on a few regions of each level.

Pixels are compared where OpenSlide does not resample: where a pixel of the level begins at a whole level-0 pixel.
Levels whose downsample is no whole number have such places at their corner only; elsewhere OpenSlide shifts by a part
of a pixel, and there the two only have to be alike.
"""

from collections.abc import Iterator
from dataclasses import fields

import numpy as np

from preprocessing.errors import SlideReadError
from preprocessing.readers.base import Reader, SlideInfo
from preprocessing.readers.direct_reader import DirectReader
from preprocessing.readers.tile_index import TileLevel

REGION = 128
"""Side of a compared region, pixels. It lies around a corner where four tiles meet."""
MEAN_DIFFERENCE = 2.0
"""Gray levels by which the mean color of a region may differ where OpenSlide resamples."""
PIXEL_DIFFERENCE = 16.0
"""Gray levels by which pixels may differ in the mean where OpenSlide resamples: sharp cells, shifted a little."""


def equals_openslide(direct: DirectReader, openslide: Reader) -> str | None:
    """Compare the two readers of one slide.

    Reads about three small regions of each level, at most 12 tiles.

    Args:
        direct: the reader on trial.
        openslide: the reader that is right.

    Returns:
        None where they agree, else the first difference, in words.
    """
    difference = _facts(direct.info, openslide.info)
    if difference:
        return difference
    for number, level in enumerate(direct.levels):
        if direct.info.vendor == "aperio" and not level.sizes.all():
            return f"level {number} lacks tiles, which OpenSlide fills in its own way"
        for x, y in dict.fromkeys(_places(level)):
            try:
                difference = _region(direct, openslide, number, x, y)
            except SlideReadError as error:
                return str(error)
            if difference:
                return f"{difference} at level {number} ({x}, {y})"
    return None


def _facts(direct: SlideInfo, openslide: SlideInfo) -> str | None:
    if direct.vendor != openslide.vendor:
        return f"slides of the format {openslide.vendor} are read by OpenSlide only"
    for field in fields(SlideInfo):
        ours, theirs = getattr(direct, field.name), getattr(openslide, field.name)
        if ours != theirs:
            return f"{field.name} would be {ours} where OpenSlide says {theirs}"
    return None


def _places(level: TileLevel) -> Iterator[tuple[int, int]]:
    """Top-left corners of the regions to compare: the slide's corner, its center, and where there is most to see."""
    yield 0, 0
    yield _around(level, level.columns // 2, level.rows // 2)
    richest = int(np.argmax(level.sizes))  # the most bytes: least likely to be bare glass
    yield _around(level, richest % level.columns, richest // level.columns)


def _around(level: TileLevel, column: int, row: int) -> tuple[int, int]:
    """The region around the top-left corner of a tile, moved to lie inside the level where it is large enough."""
    x = min(column * level.tile_width - REGION // 2, level.width - REGION)
    y = min(row * level.tile_height - REGION // 2, level.height - REGION)
    return max(x, 0), max(y, 0)


def _region(direct: Reader, openslide: Reader, level: int, x: int, y: int) -> str | None:
    level_width, level_height = direct.info.level_sizes[level]
    place = level, x, y, min(REGION, level_width - x), min(REGION, level_height - y)
    ours, theirs = direct.read(*place), openslide.read(*place)
    downsample = direct.info.downsamples[level]
    if float(x * downsample).is_integer() and float(y * downsample).is_integer():
        return None if np.array_equal(ours, theirs) else "pixels differ from OpenSlide"
    difference = ours.astype(np.int16) - theirs
    alike = (
        np.abs(difference.mean(axis=(0, 1))).max() <= MEAN_DIFFERENCE and np.abs(difference).mean() <= PIXEL_DIFFERENCE
    )
    return None if alike else "pixels are not alike those of OpenSlide"
