"""A first look at slides, on the workers: how each is read, whether the recipe fits it, how much work it is.

What comes of it is the slide's plan; what is judged on the thumbnail (tissue, stain) is judged here and nowhere else.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from cluster.stage_names import stage
from cluster.storage import Store
from cluster.words import counted
from cluster.worker import make_tasks_quick
from preprocessing.crops import copies_tiles
from preprocessing.errors import SlideTooLargeError, WindowLargerThanSlideError
from preprocessing.grid import count_shards
from preprocessing.inventory import SlideEntry
from preprocessing.isolation import isolated
from preprocessing.ledger import Outcome, failed_by
from preprocessing.mask_file import write_mask
from preprocessing.readers.base import Reader
from preprocessing.readers.opening import open_proved
from preprocessing.readers.thumbnail import slide_thumbnail
from preprocessing.recipe import Recipe
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.scales import SlideScale, resolve_scales, slide_mpp
from preprocessing.slide_facts import SlideFacts
from preprocessing.slide_plan import TISSUE_MASK, SlidePlan, grid_of
from preprocessing.stain.normalization import StainProfile, estimate_stain
from preprocessing.tiling_settings import Tiling
from preprocessing.tissue_rules.otsu import otsu_tissue
from preprocessing.tissue_rules.thumbnail_mask import slide_tissue, thumbnail_tissue

_MOST_SHARDS = 100_000  # of one slide; the largest real ones make a few thousand


def prepare(
    spark: SparkSession, entries: Sequence[SlideEntry], recipe: Recipe, staging: str
) -> tuple[list[SlidePlan], list[Outcome]]:
    """Open each slide once and sort out those that cannot be used.

    Args:
        spark: the session.
        entries: the slides of a wave.
        recipe: what is to be cut.
        staging: URI below which the tissue masks are left.

    Returns:
        The plans of the usable slides, and the failures with their reason. Memory of a worker: one thumbnail.
    """
    look = partial(_look, recipe=recipe, staging=staging)
    with stage(spark, f"prepare {counted(len(entries), 'slide')}"):
        looked = spark.sparkContext.parallelize(entries, len(entries)).map(look).collect()
    good = [result for result in looked if isinstance(result, SlidePlan)]
    bad = [result for result in looked if isinstance(result, Outcome)]
    return good, bad


def _look(entry: SlideEntry, recipe: Recipe, staging: str) -> SlidePlan | Outcome:
    make_tasks_quick()
    facts = None
    try:
        with ExitStack() as opened:
            opened.enter_context(isolated(entry.slide_id, "prepare", staging))
            slide, choice = open_proved(entry.path)
            opened.enter_context(slide)
            mpp, source = slide_mpp(slide.info, entry.mpp, recipe.tiling)
            facts = SlideFacts(slide.info, choice.name, choice.note, mpp, source)
            scales = resolve_scales(slide.info, mpp, recipe.tiling)
            _check_fit(slide, scales[0], recipe.tiling)
            shards = _count_shards(entry.slide_id, scales[0], recipe)
            seen = _look_at_thumbnail(slide, mpp, recipe.tiling)
            copied = copies_tiles(ScaledSlide(slide, scales), recipe.tiling)
        if seen.tissue is not None:
            write_mask(seen.tissue, Store(staging), TISSUE_MASK.format(entry.slide_id))
    except Exception as error:  # whatever one slide does, the others go on; the ledger gets the cause
        return failed_by(entry, error, facts)
    facts = replace(
        facts,
        reader="copy" if copied else choice.name,
        requested_mpp=tuple(scale.requested_mpp for scale in scales),
        effective_mpp=tuple(scale.effective_mpp for scale in scales if scale.effective_mpp is not None),
        stain=() if seen.stain is None else seen.stain.values,
    )
    return SlidePlan(entry, facts, choice, scales, shards, seen.stain, seen.downsample)


def _check_fit(slide: Reader, finest: SlideScale, tiling: Tiling) -> None:
    """Make sure that pixels can be read and that a window fits, before any work is spent on the slide."""
    slide.read(len(slide.info.level_sizes) - 1, 0, 0, 1, 1)
    if min(finest.width, finest.height) < min(tiling.offset) + tiling.window:
        raise WindowLargerThanSlideError(
            f"the window of {tiling.window} px is larger than the slide, which is {finest.width}x{finest.height} px at "
            "scale 0; choose a smaller tiling.window or a finer scale"
        )


def _count_shards(slide_id: str, finest: SlideScale, recipe: Recipe) -> int:
    """Units of work, bounded: a damaged header may claim any size."""
    tiling = recipe.tiling
    grid = grid_of(recipe, slide_id)
    shards = count_shards(grid, finest.width, finest.height, tiling.block, tiling.blocks_per_shard)
    if shards > _MOST_SHARDS:
        raise SlideTooLargeError(
            f"{finest.width}x{finest.height} px at scale 0 make {shards} units of work, more than {_MOST_SHARDS}; "
            "is the header damaged? Else raise tiling.block or tiling.blocks_per_shard"
        )
    return shards


@dataclass(frozen=True)
class _Seen:
    """What the thumbnail shows: the tissue mask, its downsample, the stain; None where the recipe does not ask."""

    tissue: NDArray[np.bool_] | None = None
    downsample: float | None = None
    stain: StainProfile | None = None


def _look_at_thumbnail(slide: Reader, mpp: float | None, tiling: Tiling) -> _Seen:
    """Read the thumbnail, if the recipe asks for anything that is judged on it."""
    stained = tiling.stain.method != "none"
    if not stained and not tiling.tissue.needs_thumbnail:
        return _Seen()
    thumbnail = slide_thumbnail(slide, mpp)
    of_pixel = None if mpp is None else mpp * thumbnail.downsample
    if not stained:
        return _Seen(slide_tissue(thumbnail, of_pixel, tiling.tissue), thumbnail.downsample)
    tissue = thumbnail_tissue(thumbnail.rgb, of_pixel, tiling.tissue)
    stain = estimate_stain(thumbnail.rgb, otsu_tissue(thumbnail.rgb, of_pixel), tiling.stain)
    return _Seen(tissue, None if tissue is None else thumbnail.downsample, stain)
