"""Which parts of a slide's levels some units of work read, so that a reader knows what is worth keeping for them."""

import math

import numpy as np

from preprocessing.grid import Grid, scale_origins, shard_areas
from preprocessing.readers.base import Region
from preprocessing.recipe import Recipe
from preprocessing.scales import SlideScale
from preprocessing.slide_plan import SlidePlan, grid_of


def unit_regions(plan: SlidePlan, shards: range, recipe: Recipe) -> list[Region]:
    """What lies under the windows of some consecutive units of work of a slide, at every scale.

    Args:
        plan: the slide.
        shards: its units, one after the other; may be none.
        recipe: what to cut. The margin that training patches have is not counted.

    Returns:
        At most three regions a scale, rather a pixel or a step of the grid too large than too small.
    """
    grid, tiling, finest = grid_of(recipe, plan.entry.slide_id), recipe.tiling, plan.scales[0]
    areas = shard_areas(shards, grid, finest.width, finest.height, tiling.block, tiling.blocks_per_shard)
    return [_under(area, grid, scale, finest.downsample) for scale in plan.scales for area in areas]


def _under(area: tuple[int, int, int, int], grid: Grid, scale: SlideScale, finest: float) -> Region:
    """Under the windows whose place on the grid lies in an area, pixels of the level that the scale is read from."""
    x, y, width, height = area
    first_and_last = np.array([[x, y], [x + width - 1, y + height - 1]], np.int32)
    reach = np.array([[-grid.jitter], [grid.jitter]], np.int32)
    first, last = scale_origins(first_and_last + reach, grid.window, finest, scale.downsample)
    left, top = (math.floor(start * scale.factor) for start in first)
    # where a scale lies between two levels, its last pixel is an average that may reach one pixel further
    right, bottom = (math.ceil((start + grid.window) * scale.factor) + (scale.factor > 1) for start in last)
    return Region(scale.level, left, top, right - left, bottom - top)
