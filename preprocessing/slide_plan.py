"""What the workers need to know of a slide to work on any part of it, and the units of work of a wave."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from cluster.storage import Store
from preprocessing.grid import Block, Grid, jitter_key, shard_blocks
from preprocessing.inventory import SlideEntry
from preprocessing.mask_file import read_mask
from preprocessing.readers.opening import ReaderChoice, open_slide
from preprocessing.recipe import Recipe
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.scales import SlideScale
from preprocessing.slide_facts import SlideFacts
from preprocessing.stain.normalization import StainProfile
from preprocessing.tissue_judge import CoarseMask, TissueJudge, tissue_judge

TISSUE_MASK = "tissue/{}.png"
"""Where the mask of a slide's thumbnail lies, below the output (and below the staging folder until it is published)."""


@dataclass(frozen=True)
class SlidePlan:
    """A slide that can be worked on, as `prepare` found it.

    Attributes:
        entry: the slide.
        facts: for the ledger.
        choice: how it is read.
        scales: of the recipe on this slide, finest first.
        shards: units of work.
        stain: profile of the normalization; None where the recipe wants none.
        mask_downsample: level-0 pixels per pixel of its tissue mask; None where the recipe needs no mask.
    """

    entry: SlideEntry
    facts: SlideFacts
    choice: ReaderChoice
    scales: tuple[SlideScale, ...]
    shards: int
    stain: StainProfile | None = None
    mask_downsample: float | None = None

    @contextmanager
    def opened(self) -> Iterator[ScaledSlide]:
        """Open the slide as planned."""
        with open_slide(self.entry.path, self.choice) as slide:
            yield ScaledSlide(slide, self.scales)

    def blocks(self, shard: int, recipe: Recipe) -> tuple[Grid, list[Block]]:
        """The grid of this slide, and the blocks of one of its units of work."""
        grid, finest = grid_of(recipe, self.entry.slide_id), self.scales[0]
        tiling = recipe.tiling
        mine = shard_blocks(shard, grid, finest.width, finest.height, tiling.block, tiling.blocks_per_shard)
        return grid, mine

    def judge(self, recipe: Recipe, staging: str) -> TissueJudge:
        """The tissue rule of the recipe on this slide.

        Args:
            recipe: what to cut.
            staging: URI below which `prepare` left the mask.
        """
        mask = None
        if self.mask_downsample is not None:
            mask = CoarseMask(_tissue_mask(staging, self.entry.slide_id), self.mask_downsample)
        return tissue_judge(recipe.tiling.tissue, mask)


@lru_cache(maxsize=1)  # a worker's units come slide by slide
def _tissue_mask(staging: str, slide_id: str) -> NDArray[np.bool_]:
    """The mask that `prepare` left; `staging` is another folder in every run. Memory: one mask, up to 64 MB."""
    return read_mask(Store(staging), TISSUE_MASK.format(slide_id))


def grid_of(recipe: Recipe, slide_id: str) -> Grid:
    """The grid that a recipe asks for on a slide."""
    tiling = recipe.tiling
    return Grid(tiling.window, tiling.stride, tiling.offset, tiling.jitter, jitter_key(slide_id, recipe.seed))


class WaveUnits:
    """The units of work of some slides, numbered through. Memory: a number a slide.

    Args:
        plans: the slides.
    """

    def __init__(self, plans: Sequence[SlidePlan]) -> None:
        self.plans = tuple(plans)
        self._ends = list(accumulate(plan.shards for plan in plans))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def at(self, index: int) -> tuple[SlidePlan, int]:
        """The slide of a unit, and the unit's number within the slide."""
        slide = bisect_right(self._ends, index)
        return self.plans[slide], index - (self._ends[slide] - self.plans[slide].shards)
