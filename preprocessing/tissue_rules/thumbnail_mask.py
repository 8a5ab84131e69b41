"""What a recipe wants of the thumbnail; the only place that picks a rule by name."""

import numpy as np
from numpy.typing import NDArray

from preprocessing.readers.thumbnail import Thumbnail
from preprocessing.tiling_settings import Tissue
from preprocessing.tissue_rules.otsu import otsu_tissue, otsu_tissue_of_strips
from preprocessing.tissue_rules.quality import usable


def slide_tissue(thumbnail: Thumbnail, mpp: float | None, tissue: Tissue) -> NDArray[np.bool_] | None:
    """Judge the thumbnail of a slide as the recipe says; where Otsu is all that counts, it is never held whole.

    Args:
        thumbnail: of the open slide.
        mpp: micrometers per pixel of the thumbnail; where unknown, 8 is assumed.
        tissue: method and quality.

    Returns:
        As `thumbnail_tissue`. Memory: for `otsu` 2 bytes a pixel, with quality 7; and strips of 10 to 20 MB.

    Raises:
        SlideReadError: the pixels are damaged.
    """
    if not tissue.needs_thumbnail:
        return None
    if tissue.quality:
        return thumbnail_tissue(thumbnail.rgb, mpp, tissue)
    return otsu_tissue_of_strips(thumbnail.shape, thumbnail.strips(), mpp)


def thumbnail_tissue(thumbnail: NDArray[np.uint8], mpp: float | None, tissue: Tissue) -> NDArray[np.bool_] | None:
    """Judge a thumbnail as the recipe says.

    Args:
        thumbnail: (h, w, 3) uint8, white outside of the scan.
        mpp: micrometers per pixel of the thumbnail; where unknown, 8 is assumed.
        tissue: method and quality.

    Returns:
        (h, w) bool: for `otsu` the tissue, less what is not usable where the quality counts; for the other methods
        what is usable; None where the recipe needs no thumbnail. Memory: 4 bytes a pixel.
    """
    if not tissue.needs_thumbnail:
        return None
    if not tissue.quality:
        return otsu_tissue(thumbnail, mpp)
    mask = usable(thumbnail, mpp)
    if tissue.method == "otsu":
        mask &= otsu_tissue(thumbnail, mpp)
    return mask
