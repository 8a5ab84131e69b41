"""The outline of what is annotated, for pictures: rings in level-0 pixels."""

import math

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from inference.points.truth import rings_around, true_points
from preprocessing.annotations import read_regions
from preprocessing.mask_values import MaskValues
from preprocessing.readers.opening import open_slide
from preprocessing.recipe import Recipe
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Labels

_MOST_PIXELS = 2048  # along a side of a mask that is outlined
_BLOCK_PIXELS = 1024  # about, along a side of what is read of a mask at once


def truth_rings(entry: SlideEntry, recipe: Recipe) -> list[NDArray[np.float64]]:
    """What is known of a slide as rings in level-0 pixels: outlines, or around each point as far as it is hit."""
    if recipe.tiling.placement.kind != "points":
        return truth_outlines(entry, recipe.tiling.labels)
    points = true_points(entry, recipe.tiling)
    return [] if points is None else rings_around(points.xy, recipe.inference.hit_radius)


def truth_outlines(entry: SlideEntry, labels: Labels) -> list[NDArray[np.float64]]:
    """Rings of the annotation beside a slide.

    Args:
        entry: the slide.
        labels: the recipe's classes, and what counts where the slide has both polygons and a mask.

    Returns:
        (n, 2) float64 each, level-0 pixels; none where nothing is annotated. Memory: the annotation; of a mask about 40
        MB whatever its size, as it is read in blocks and outlined on at most 2048 x 2048 pixels.
    """
    if entry.mask is not None and (labels.source == "mask" or entry.annotation is None):
        return _mask_rings(entry.mask, len(labels.classes))
    if entry.annotation is not None:
        regions = read_regions(entry.annotation, labels)
        return [ring for region in regions for polygon in region.polygons for ring in polygon]
    return []


def _mask_rings(path: str, classes: int) -> list[NDArray[np.float64]]:
    with open_slide(path) as mask:
        level = len(mask.info.level_sizes) - 1
        factor = math.ceil(max(mask.info.level_sizes[level]) / _MOST_PIXELS)
        inside = _coarse(MaskValues(mask, classes), level, *mask.info.level_sizes[level], factor)
        downsample = mask.info.downsamples[level] * factor
    bordered = np.pad(inside, 1)  # so that an outline closes at the edge of the slide
    contour = Figure().subplots().contour(bordered.astype(np.float32), levels=[0.5])
    pixels = [np.asarray(ring) for ring in contour.allsegs[0]]
    return [(ring - 1 + 0.5) * downsample for ring in pixels]


def _coarse(mask: MaskValues, level: int, width: int, height: int, factor: int) -> NDArray[np.bool_]:
    """Which squares of `factor` x `factor` pixels of a level hold anything annotated."""
    inside = np.zeros((-(-height // factor), -(-width // factor)), bool)
    side = max(1, _BLOCK_PIXELS // factor) * factor
    for y in range(0, height, side):
        for x in range(0, width, side):
            found = mask.labels(level, x, y, min(side, width - x), min(side, height - y)) > 0
            rest = [(0, -length % factor) for length in found.shape]
            squares = np.pad(found, rest)
            rows, columns = squares.shape[0] // factor, squares.shape[1] // factor
            any_of = squares.reshape(rows, factor, columns, factor).any(axis=(1, 3))
            inside[y // factor : y // factor + rows, x // factor : x // factor + columns] = any_of
    return inside
