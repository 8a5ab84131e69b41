"""From chosen positions to Parquet shards: each unit of work opens its slide once and writes its own files."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import Accumulator
from pyspark.sql import SparkSession

from cluster.progress import patch_counter
from cluster.stage_names import stage
from cluster.words import counted
from preprocessing.candidates import certain_of, kept_candidates
from preprocessing.crops import encoded_at_scales
from preprocessing.isolation import isolated
from preprocessing.patch_rows import write_unit
from preprocessing.recipe import Recipe
from preprocessing.slide_plan import SlidePlan, WaveUnits
from preprocessing.unit_report import UnitReport
from preprocessing.unit_tasks import over_units


def extract(
    spark: SparkSession,
    units: WaveUnits,
    numbers: Sequence[int],
    limits: Mapping[str, int],
    recipe: Recipe,
    staging: str,
    patches: int | None = None,
) -> list[UnitReport]:
    """Cut, encode and write the chosen candidates of some units of work.

    Args:
        spark: the session.
        units: of the wave; travels to the workers.
        numbers: the units that have candidates, as the survey kept them.
        limits: by slide_id, the lowest patch_id of the normals that were not drawn; all are taken of a slide without.
        recipe: what to cut.
        staging: URI; `split=S/slide_id=I/label=L/*.parquet` appear below it.
        patches: how many it will be, for the name of the step; None where nobody counted them.

    Returns:
        A report of each. Memory of a worker: a block at every scale, 40 bytes a candidate of a unit, and the encoded
        patches of one unit.
    """
    written = patch_counter(spark)
    extract_unit = partial(_extract_unit, limits=dict(limits), recipe=recipe, staging=staging, written=written)
    what = "patches" if patches is None else counted(patches, "patch")
    with stage(spark, f"extract {what} in {counted(len(numbers), 'unit')}"):
        return over_units(spark, units, extract_unit, numbers)


def _extract_unit(
    plan: SlidePlan, shard: int, limits: Mapping[str, int], recipe: Recipe, staging: str, written: Accumulator[int]
) -> UnitReport:
    started = time.monotonic()
    slide_id, block = plan.entry.slide_id, recipe.tiling.block
    chosen = _chosen(kept_candidates(staging, slide_id, shard), limits.get(slide_id))
    if not len(chosen):
        return UnitReport(slide_id, shard, seconds=time.monotonic() - started)
    origins = np.stack([chosen["column"].to_numpy(), chosen["row"].to_numpy()], axis=1)
    order = _reading_order(origins, block)
    chosen, origins = chosen.take(order), origins[order]
    images: list[list[bytes]] = [[] for _ in plan.scales]
    with isolated(slide_id, f"extract {shard}", staging) as alive, plan.opened() as slide:
        for start, end in pairwise(_block_bounds(origins, block)):
            alive()
            for scale, encoded in enumerate(encoded_at_scales(slide, origins[start:end], recipe.tiling, plan.stain)):
                images[scale] += encoded
    positives, size = write_unit(plan, shard, chosen, images, recipe, staging)
    written.add(len(chosen))
    return UnitReport(slide_id, shard, len(chosen), positives, time.monotonic() - started, size)


def _chosen(candidates: pa.Table, limit: int | None) -> pa.Table:
    """All that are certain, and of the others those below the limit."""
    if limit is None:
        return candidates
    return candidates.filter(certain_of(candidates) | (candidates["patch_id"].to_numpy() < limit))


def _reading_order(origins: NDArray[np.int32], block: int) -> NDArray[np.int64]:
    """Block by block, raster order inside: each region of the slide is read once, neighbors together."""
    column, row = origins[:, 0], origins[:, 1]
    return np.lexsort((column, row, column // block, row // block))


def _block_bounds(origins: NDArray[np.int32], block: int) -> list[int]:
    """Where one block's positions end and the next block's start, with both ends of the array."""
    changes = np.any(np.diff(origins // block, axis=0) != 0, axis=1)
    return [0, *(np.flatnonzero(changes) + 1).tolist(), len(origins)]
