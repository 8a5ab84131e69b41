"""What a recipe wants of the thumbnail; the only place that picks a rule by name."""

import numpy as np
from numpy.typing import NDArray

from preprocessing.tiling_settings import Tissue
from preprocessing.tissue_rules.otsu import otsu_tissue
from preprocessing.tissue_rules.quality import usable


def thumbnail_tissue(thumbnail: NDArray[np.uint8], mpp: float | None, tissue: Tissue) -> NDArray[np.bool_] | None:
    """Judge a thumbnail as the recipe says.

    Args:
        thumbnail: (h, w, 3) uint8, white outside of the scan.
        mpp: micrometers per pixel of the thumbnail; where unknown, 8 is assumed.
        tissue: method and quality.

    Returns:
        (h, w) bool: for `otsu` the tissue, less what is not usable where the quality counts; for the other methods
        what is usable; None where the recipe needs no thumbnail. Memory: 17 bytes a pixel.
    """
    if not tissue.needs_thumbnail:
        return None
    if not tissue.quality:
        return otsu_tissue(thumbnail, mpp)
    mask = usable(thumbnail, mpp)
    if tissue.method == "otsu":
        mask &= otsu_tissue(thumbnail, mpp)
    return mask
