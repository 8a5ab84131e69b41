"""From slides and a model to predictions: tissue is found, read and judged block by block, on Spark."""

import time
from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import Accumulator, SparkFiles
from pyspark.sql import SparkSession

from cluster.progress import patch_counter
from cluster.storage import Store
from inference.engine import Engine, engine
from preprocessing.crops import windows_at_scales
from preprocessing.grid import to_level_0
from preprocessing.isolation import isolated
from preprocessing.recipe import Recipe
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.shard_file import write_shard
from preprocessing.slide_plan import SlidePlan, WaveUnits
from preprocessing.stain.normalization import StainProfile
from preprocessing.survey import unit_candidates
from preprocessing.unit_report import UnitReport
from preprocessing.unit_tasks import over_units

PREDICTIONS: Final = "predictions"
PREDICTION_SCHEMA: Final = pa.schema(
    [
        pa.field("x", pa.int32(), nullable=False),
        pa.field("y", pa.int32(), nullable=False),
        pa.field("probability", pa.float32(), nullable=False),
        pa.field("tissue_fraction", pa.float32(), nullable=False),
        pa.field("model_id", pa.string(), nullable=False),
    ]
)


def prediction_recipe(recipe: Recipe) -> Recipe:
    """The recipe with the prediction grid in place of the training grid: its stride, its tissue limit, no jitter."""
    tissue = recipe.tiling.tissue.model_copy(update={"min_fraction": recipe.inference.min_tissue})
    changes = {"stride": recipe.inference.stride, "tissue": tissue, "offset": recipe.tiling.offset[:1], "jitter": 0}
    tiling = recipe.tiling.model_copy(update=changes)
    return recipe.model_copy(update={"tiling": tiling})


def predict(
    spark: SparkSession, units: WaveUnits, recipe: Recipe, model: str, model_id: str, staging: str
) -> list[UnitReport]:
    """Predict every tissue window of many units of work; workers write the shards.

    Args:
        spark: the session.
        units: of a wave; travels to the workers.
        recipe: from `prediction_recipe`.
        model: name under which the model was sent, for `SparkFiles.get`.
        model_id: short hash of that file, noted in every row.
        staging: URI; `slide_id=I/*.parquet` appear below it, and `prepare` left the tissue masks there.

    Returns:
        A report of each unit. Memory of a worker: the model, a block, and two batches of patches.
    """
    written = patch_counter(spark)
    predict_unit = partial(
        _predict_unit, recipe=recipe, model=model, model_id=model_id, staging=staging, written=written
    )
    return over_units(spark, units, predict_unit)


def _predict_unit(
    plan: SlidePlan, shard: int, recipe: Recipe, model: str, model_id: str, staging: str, written: Accumulator[int]
) -> UnitReport:
    started = time.monotonic()
    slide_id = plan.entry.slide_id
    judge = engine(SparkFiles.get(model), recipe.inference.batch_size)
    grid, mine = plan.blocks(shard, recipe)
    tissue = plan.judge(recipe, staging)
    with isolated(slide_id, f"predict {shard}", staging) as alive, plan.opened() as slide:
        found = unit_candidates(slide, grid, mine, None, tissue, recipe.tiling, alive)
        judged = [part for block in found for part in judge_block(slide, block.origins, recipe, judge, plan.stain)]
    if not judged:
        return UnitReport(slide_id, shard, seconds=time.monotonic() - started)
    probability = np.concatenate([values for _, values in judged])
    xy = to_level_0(np.concatenate([origins for origins, _ in judged]), plan.scales[0].downsample)
    columns = [xy[:, 0], xy[:, 1], probability, np.ones(len(xy), np.float32), [model_id] * len(xy)]
    table = pa.Table.from_arrays([pa.array(column) for column in columns], schema=PREDICTION_SCHEMA)
    write_shard([table], PREDICTION_SCHEMA, Store(staging), f"slide_id={slide_id}/part-{shard:05d}.parquet")
    written.add(len(table))
    positives = int((probability >= recipe.inference.threshold).sum())
    return UnitReport(slide_id, shard, len(table), positives, time.monotonic() - started)


def judge_block(
    slide: ScaledSlide, found: NDArray[np.int32], recipe: Recipe, judge: Engine, stain: StainProfile | None
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float32]]]:
    """Predict some windows of a block.

    Args:
        slide: open.
        found: (n, 2) top-left corners, scale-0 pixels.
        recipe: from `prediction_recipe`.
        judge: computes the probabilities.
        stain: profile of the normalization, as in training.

    Yields:
        Origins (n, 2) int32 in scale-0 pixels and probabilities (n,) float32, at most a batch at a time.
    """
    for start in range(0, len(found), recipe.inference.batch_size):
        origins = found[start : start + recipe.inference.batch_size]
        windows = windows_at_scales(slide, origins, recipe.tiling.window, stain)
        yield origins, judge.predict([np.stack(list(of_scale)) for of_scale in windows])
