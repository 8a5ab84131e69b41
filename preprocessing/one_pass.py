"""Survey and extraction in one pass over a slide, where the recipe keeps every candidate and nothing has to be drawn.

Every tile of the slide is decoded once and every patch encoded once. The table is the one that survey, selection and
extraction give.
"""

import time
from functools import partial

from pyspark import Accumulator
from pyspark.sql import SparkSession

from cluster.progress import patch_counter
from cluster.stage_names import stage
from cluster.words import counted
from preprocessing.candidates import Candidates, candidate_table, joined
from preprocessing.crops import encoded_at_scales
from preprocessing.isolation import isolated
from preprocessing.patch_rows import write_unit
from preprocessing.placement import left_out, open_known
from preprocessing.recipe import Recipe
from preprocessing.slide_plan import SlidePlan, WaveUnits
from preprocessing.survey import unit_candidates
from preprocessing.unit_report import UnitReport
from preprocessing.unit_tasks import over_units


def tile_in_one_pass(spark: SparkSession, units: WaveUnits, recipe: Recipe, staging: str) -> list[UnitReport]:
    """Judge, cut, encode and write every patch of some units of work.

    Args:
        spark: the session.
        units: of a wave; travels to the workers.
        recipe: what to cut; its sampling keeps all.
        staging: URI; `split=S/slide_id=I/label=L/*.parquet` appear below it.

    Returns:
        A report of each unit. Memory of a worker: about 16 bytes a pixel of a block, a block at every scale, and the
        encoded patches of one unit.
    """
    tile_unit = partial(_tile_unit, recipe=recipe, staging=staging, written=patch_counter(spark))
    with stage(spark, f"tile {counted(len(units), 'unit')} of {counted(len(units.plans), 'slide')}"):
        return over_units(spark, units, tile_unit)


def _tile_unit(plan: SlidePlan, shard: int, recipe: Recipe, staging: str, written: Accumulator[int]) -> UnitReport:
    started = time.monotonic()
    tiling, finest, slide_id = recipe.tiling, plan.scales[0], plan.entry.slide_id
    parts: list[Candidates] = []
    images: list[list[bytes]] = [[] for _ in plan.scales]
    judge = plan.judge(recipe, staging)
    grid, blocks = plan.blocks(shard, recipe)
    known_of = open_known(plan, recipe)
    with isolated(slide_id, f"tile {shard}", staging) as alive, plan.opened() as slide, known_of as known:
        for found in unit_candidates(slide, grid, blocks, known, judge, tiling, alive):
            parts.append(found)
            for scale, encoded in enumerate(encoded_at_scales(slide, found.origins, tiling, plan.stain)):
                images[scale] += encoded
    lost = left_out(known, blocks)
    if not parts:
        return UnitReport(slide_id, shard, seconds=time.monotonic() - started, left_out=lost)
    table = candidate_table(joined(parts), slide_id, finest.downsample, recipe.recipe_id)
    positives, size = write_unit(plan, shard, table, images, recipe, staging)
    written.add(len(table))
    return UnitReport(slide_id, shard, len(table), positives, time.monotonic() - started, size, left_out=lost)
