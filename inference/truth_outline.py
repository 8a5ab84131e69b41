"""The outline of what is annotated, for pictures: rings in level-0 pixels."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from preprocessing.annotations import read_regions
from preprocessing.mask_values import MaskValues
from preprocessing.readers.opening import open_slide
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Labels


def truth_outlines(entry: SlideEntry, labels: Labels) -> list[NDArray[np.float64]]:
    """Rings of the annotation beside a slide.

    Args:
        entry: the slide.
        labels: the recipe's classes, and what counts where the slide has both polygons and a mask.

    Returns:
        (n, 2) float64 each, level-0 pixels; none where nothing is annotated. Memory: the annotation, or the coarsest
        level of the mask.
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
        width, height = mask.info.level_sizes[level]
        inside = MaskValues(mask, classes).labels(level, 0, 0, width, height) > 0
        downsample = mask.info.downsamples[level]
    bordered = np.pad(inside, 1)  # so that an outline closes at the edge of the slide
    contour = Figure().subplots().contour(bordered.astype(float), levels=[0.5])
    pixels = [np.asarray(ring) for ring in contour.allsegs[0]]
    return [(ring - 1 + 0.5) * downsample for ring in pixels]
