"""Survey and extraction in one pass over a slide, where the recipe keeps every candidate and nothing has to be drawn.

Every tile of the slide is decoded once and every patch encoded once. The table is the one that survey, selection and
extraction give.
"""

import time
from collections.abc import Iterable

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from cluster.progress import patch_counter
from cluster.worker import make_tasks_quick
from preprocessing.crops import encoded_at_scales
from preprocessing.isolation import isolated
from preprocessing.labels import open_truth
from preprocessing.patch_rows import write_unit
from preprocessing.recipe import Recipe
from preprocessing.slide_plan import SlidePlan, WaveUnits
from preprocessing.survey import Candidates, candidate_rows, joined, unit_candidates
from preprocessing.unit_report import REPORT_COLUMNS, failure_report, unit_report


def tile_in_one_pass(spark: SparkSession, units: WaveUnits, recipe: Recipe, staging: str) -> DataFrame:
    """Judge, cut, encode and write every patch of some units of work.

    Args:
        spark: the session.
        units: of a wave; travels to the workers.
        recipe: what to cut; its sampling keeps all.
        staging: URI; `split=S/slide_id=I/label=L/*.parquet` appear below it.

    Returns:
        `REPORT_COLUMNS`, one row a unit. Memory of a worker: about 16 bytes a pixel of a block, a block at every scale,
        and the encoded patches of one unit.
    """
    written = patch_counter(spark)

    def work(frames: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
        make_tasks_quick()
        for frame in frames:
            for index in frame["id"]:
                plan, shard = units.at(int(index))
                try:
                    report = _tile_unit(plan, shard, recipe, staging)
                    written.add(int(report["rows"].iloc[0]))
                    yield report
                except Exception as error:  # whatever one slide does, the others go on; the ledger gets the cause
                    yield failure_report(plan.entry.slide_id, shard, error)

    return units.frame(spark).mapInPandas(work, REPORT_COLUMNS)


def _tile_unit(plan: SlidePlan, shard: int, recipe: Recipe, staging: str) -> pd.DataFrame:
    started = time.monotonic()
    tiling, finest, slide_id = recipe.tiling, plan.scales[0], plan.entry.slide_id
    parts: list[Candidates] = []
    images: list[list[bytes]] = [[] for _ in plan.scales]
    judge = plan.judge(recipe, staging)
    grid, blocks = plan.blocks(shard, recipe)
    truth_of = open_truth(plan.entry, plan.facts.info, finest.downsample, tiling.labels)
    with isolated(slide_id, f"tile {shard}", staging) as alive, plan.opened() as slide, truth_of as truth:
        for found in unit_candidates(slide, grid, blocks, truth, judge, tiling, alive):
            parts.append(found)
            for scale, encoded in enumerate(encoded_at_scales(slide, found.origins, tiling, plan.stain)):
                images[scale] += encoded
    if not parts:
        return unit_report(slide_id, shard, 0, 0, time.monotonic() - started)
    rows = candidate_rows(joined(parts), slide_id, finest.downsample, recipe.recipe_id)
    write_unit(plan, shard, rows, images, recipe, staging)
    return unit_report(slide_id, shard, len(rows), int((rows["label"] > 0).sum()), time.monotonic() - started)
