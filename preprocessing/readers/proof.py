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
"""Side of a compared region, pixels."""
OPENSLIDE_CACHE_BYTES = 1 << 20
"""What OpenSlide should keep of its tiles for a proof: those of one region, as hardly any is looked at twice."""
MEAN_DIFFERENCE = 2.0
"""Gray levels by which the mean color of a region may differ where OpenSlide resamples."""
PIXEL_DIFFERENCE = 16.0
"""Gray levels by which pixels may differ in the mean where OpenSlide resamples: sharp cells, shifted a little."""


def equals_openslide(direct: DirectReader, openslide: Reader) -> str | None:
    """Compare the two readers of one slide.

    Reads three regions of each level. Decoding is nearly all of the cost, so where tiles are larger than a region one
    tile is enough for each, except where four of them meet on level 0: 6 tiles of level 0, 3 of each other one.

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
        for x, y in dict.fromkeys(_places(level, meeting=number == 0)):
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


def _places(level: TileLevel, meeting: bool) -> Iterator[tuple[int, int]]:
    """Top-left corners of the regions to compare: the slide's corner, its center, and where there is most to see.

    They lie in corners of their tiles, so that all sides of a tile are seen: one that is shifted, cut or upsampled in
    another way at its rim shows. Whether tiles are joined at the right places does not depend on the level; that is
    looked at where there is most to see.

    Args:
        level: where the regions are.
        meeting: whether the last region lies around the corner where four tiles meet, else within its tile.
    """
    wide, high = level.tile_width, level.tile_height
    yield 0, 0
    yield _inside(level, level.columns // 2 * wide, level.rows // 2 * high)
    row, column = divmod(int(np.argmax(level.sizes)), level.columns)  # the most bytes: least likely to be bare glass
    beyond = REGION // 2 if meeting else 0
    yield _inside(level, (column + 1) * wide - REGION + beyond, (row + 1) * high - REGION + beyond)


def _inside(level: TileLevel, x: int, y: int) -> tuple[int, int]:
    """A top-left corner, moved so that the region lies inside the level where that is large enough."""
    return max(min(x, level.width - REGION), 0), max(min(y, level.height - REGION), 0)


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
