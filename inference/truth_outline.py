"""The outline of what is annotated, for pictures: rings in level-0 pixels."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from preprocessing.annotations import Region, read_regions
from preprocessing.inventory import SlideEntry
from preprocessing.slides import Slide


def truth_outlines(entry: SlideEntry, source: Literal["polygons", "mask"]) -> list[NDArray[np.float64]]:
    """Rings of the annotation beside a slide.

    Args:
        entry: the slide.
        source: what counts where it has both, as in `Labels`.

    Returns:
        (n, 2) float64 each, level-0 pixels; none where nothing is annotated. Memory: the annotation, or the coarsest
        level of the mask.
    """
    if entry.mask is not None and (source == "mask" or entry.annotation is None):
        return _mask_rings(entry.mask)
    if entry.annotation is not None:
        return [ring for region in read_regions(entry.annotation) for ring in _rings(region)]
    return []


def _rings(region: Region) -> Iterator[NDArray[np.float64]]:
    coordinates = region.geometry["coordinates"]
    polygons = [coordinates] if region.geometry["type"] == "Polygon" else coordinates
    for polygon in polygons:
        for ring in polygon:
            yield np.asarray(ring, dtype=np.float64)


def _mask_rings(path: str) -> list[NDArray[np.float64]]:
    with Slide(path) as mask:
        level = len(mask.info.level_sizes) - 1
        width, height = mask.info.level_sizes[level]
        inside = mask.read(level, 0, 0, width, height, background=0).any(axis=-1)
        downsample = mask.info.downsamples[level]
    bordered = np.pad(inside, 1)  # so that an outline closes at the edge of the slide
    contour = Figure().subplots().contour(bordered.astype(float), levels=[0.5])
    pixels = [np.asarray(ring) for ring in contour.allsegs[0]]
    return [(ring - 1 + 0.5) * downsample for ring in pixels]
