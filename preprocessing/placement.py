"""Where windows may be cut on a block, and what is known of each; the only place that picks a placement by name."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from preprocessing.grid import Block
from preprocessing.label_rule import label_windows
from preprocessing.labels import Truth, WholeSlide, open_truth
from preprocessing.marked_regions import marked_regions
from preprocessing.marks import Marks, Windows
from preprocessing.placement_settings import AroundPoints, OnGrid
from preprocessing.point_placement import point_marks
from preprocessing.points import points_on
from preprocessing.readers.base import SlideInfo
from preprocessing.recipe import Recipe
from preprocessing.region_placement import region_key, region_marks
from preprocessing.scales import SlideScale
from preprocessing.slide_entry import SlideEntry
from preprocessing.slide_plan import SlidePlan
from preprocessing.tiling_settings import Tiling

Known = Truth | Marks | None
"""What is known of a slide: what is annotated; what its marks ask for; None where nobody looked."""


def windows_of(block: Block, on_grid: NDArray[np.int32], known: Known, tiling: Tiling) -> Windows:
    """The windows of a block.

    Args:
        block: of the slide.
        on_grid: (n, 2) int32 top-left corners of its windows on the grid, scale-0 pixels.
        known: of the slide.
        tiling: window, center and label rule.
    """
    if isinstance(known, Marks):
        return known.windows(block, on_grid)
    if known is None:
        return Windows(on_grid, np.zeros(len(on_grid), bool))
    if isinstance(known, WholeSlide):  # nobody marked a place, so tissue decides
        return Windows(on_grid, np.zeros(len(on_grid), bool), np.full(len(on_grid), known.label, np.int32))
    found = label_windows(known, on_grid, tiling)
    return Windows(on_grid, found.label > 0, found.label, found.fraction)


def left_out(known: Known, blocks: Sequence[Block]) -> int:
    """How many windows the placement asks for in some blocks that found no place."""
    return known.lost(blocks) if isinstance(known, Marks) else 0


@contextmanager
def open_known(plan: SlidePlan, recipe: Recipe) -> Iterator[Known]:
    """Open what is known of a slide.

    Args:
        plan: the slide.
        recipe: placement and labels.

    Yields:
        Memory: the annotation.

    Raises:
        AnnotationError: see `open_truth` and `read_points`.
    """
    entry, info, finest = plan.entry, plan.facts.info, plan.scales[0]
    if recipe.tiling.placement.kind == "grid":
        with open_truth(entry, info, finest.downsample, recipe.tiling.labels) as truth:
            yield truth
    else:
        yield _marks(entry, info, finest, recipe.seed, recipe.tiling.model_dump_json())


@lru_cache(maxsize=1)  # a worker's units come slide by slide
def _marks(entry: SlideEntry, info: SlideInfo, finest: SlideScale, seed: int, settings: str) -> Marks | None:
    """What the marks of a slide ask for, found once for all of its units; None where nobody looked.

    Args:
        entry: with its fingerprint, which changes with its files.
        info, finest: of the slide.
        seed: of the recipe's draws.
        settings: `Tiling` as JSON.
    """
    tiling = Tiling.model_validate_json(settings)
    placement = tiling.placement
    if isinstance(placement, AroundPoints):
        points = points_on(entry, tiling.labels, info.width, info.height)
        return None if points is None else point_marks(points, finest, tiling.window, placement)
    if isinstance(placement, OnGrid):
        raise ValueError("on the grid nothing is placed by marks")
    regions = marked_regions(entry, info, finest, tiling.labels)
    key = region_key(entry.slide_id, seed)
    return None if regions is None else region_marks(regions, finest, tiling.window, placement, key)
