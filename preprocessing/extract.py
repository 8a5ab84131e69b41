"""From chosen positions to Parquet shards: each unit of work opens its slide once and writes its own files."""

import time
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from cluster.progress import patch_counter
from cluster.worker import make_tasks_quick
from preprocessing.crops import encoded_at_scales
from preprocessing.isolation import isolated
from preprocessing.patch_rows import write_unit
from preprocessing.recipe import Recipe
from preprocessing.slide_plan import SlidePlan, WaveUnits
from preprocessing.unit_report import REPORT_COLUMNS, failure_report, unit_report


def extract(chosen: DataFrame, units: WaveUnits, recipe: Recipe, staging: str) -> DataFrame:
    """Cut, encode and write the chosen patches below a staging folder.

    Args:
        chosen: columns of the survey.
        units: of the wave; travels to the workers.
        recipe: what to cut.
        staging: URI; `split=S/slide_id=I/label=L/*.parquet` appear below it.

    Returns:
        `REPORT_COLUMNS`, one row a unit that has chosen patches. Memory of a worker: a block at every scale, and the
        encoded patches of one unit.
    """
    plans = {plan.entry.slide_id: plan for plan in units.plans}
    written = patch_counter(chosen.sparkSession)

    def work(positions: pd.DataFrame) -> pd.DataFrame:
        make_tasks_quick()
        slide_id, shard = str(positions["slide_id"].iloc[0]), int(positions["shard"].iloc[0])
        try:
            report = _extract_unit(plans[slide_id], shard, positions, recipe, staging)
            written.add(len(positions))
            return report
        except Exception as error:  # whatever one slide does, the others go on; the ledger gets the cause
            return failure_report(slide_id, shard, error)

    keys = ["slide_id", "shard"]
    return chosen.repartition(units.partitions, *keys).groupBy(*keys).applyInPandas(work, REPORT_COLUMNS)


def _extract_unit(plan: SlidePlan, shard: int, positions: pd.DataFrame, recipe: Recipe, staging: str) -> pd.DataFrame:
    started = time.monotonic()
    positions = _in_reading_order(positions, recipe.tiling.block)
    origins = positions[["column", "row"]].to_numpy(np.int32)
    images: list[list[bytes]] = [[] for _ in plan.scales]
    with isolated(plan.entry.slide_id, f"extract {shard}", staging) as alive, plan.opened() as slide:
        for start, end in pairwise(_block_bounds(origins, recipe.tiling.block)):
            alive()
            for scale, encoded in enumerate(encoded_at_scales(slide, origins[start:end], recipe.tiling, plan.stain)):
                images[scale] += encoded
    write_unit(plan, shard, positions, images, recipe, staging)
    positives = int((positions["label"] > 0).sum())
    return unit_report(plan.entry.slide_id, shard, len(positions), positives, time.monotonic() - started)


def _in_reading_order(positions: pd.DataFrame, block: int) -> pd.DataFrame:
    """Block by block, raster order inside: each region of the slide is read once, neighbors together."""
    keys = {"block_row": positions["row"] // block, "block_column": positions["column"] // block}
    order = ["block_row", "block_column", "row", "column"]
    return positions.assign(**keys).sort_values(order, ignore_index=True)


def _block_bounds(origins: NDArray[np.int32], block: int) -> list[int]:
    """Where one block's positions end and the next block's start, with both ends of the array."""
    changes = np.any(np.diff(origins // block, axis=0) != 0, axis=1)
    return [0, *(np.flatnonzero(changes) + 1).tolist(), len(origins)]
