"""What a recipe may say of where windows go: on the grid, around marked points, or inside marked regions.

`kind` has no default, since a recipe's identity leaves out what is at its default.
"""

from typing import Annotated, Literal

from pydantic import Field

from preprocessing.basic_settings import Fraction, Pixels, Settings


class OnGrid(Settings):
    """Every window of the grid."""

    kind: Literal["grid"]


class AroundPoints(Settings):
    """A window centered on each marked point, and the windows of the grid that are far from all of them.

    TUPAC16's mitoses as in CODAIT's deep-histopath.

    Attributes:
        min_distance: from a point to the center of a window of the grid, scale-0 pixels; nearer windows are left out.
    """

    kind: Literal["points"]
    min_distance: Pixels = 60


class InRegions(Settings):
    """Windows drawn on each marked region, and windows of the grid elsewhere: the set S10 of Shen et al. 2019.

    As many elsewhere as on regions is what `sampling.normals_per_tumor` 1 makes of them.

    Attributes:
        per_region: windows of each region.
        min_overlap: share that region and window have in common, of the region's area or of the window's, the larger.
        max_background_overlap: the same of a window that shows no region, at most.
    """

    kind: Literal["regions"]
    per_region: Pixels = 10
    min_overlap: Fraction = 0.9
    max_background_overlap: Fraction = 0.35


class OnRegionCenters(Settings):
    """A window centered on each marked region, and windows of the grid elsewhere: the set S of Shen et al. 2019.

    Attributes:
        max_background_overlap: as of `InRegions`.
    """

    kind: Literal["region_centers"]
    max_background_overlap: Fraction = 0.35


Placement = Annotated[OnGrid | AroundPoints | InRegions | OnRegionCenters, Field(discriminator="kind")]
