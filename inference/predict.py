"""From slides and a model to predictions: tissue is found, read and judged block by block, on Spark."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import Accumulator
from pyspark.sql import SparkSession

from cluster.progress import patch_counter
from cluster.stage_names import stage
from cluster.storage import Store
from cluster.words import counted
from inference.batches import full_batches
from inference.engines.base import Engine, Images
from inference.engines.choice import EngineSpec, engine
from preprocessing.grid import to_level_0
from preprocessing.isolation import isolated
from preprocessing.recipe import Recipe
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.shard_file import write_shard
from preprocessing.slide_plan import SlidePlan, WaveUnits
from preprocessing.survey import unit_candidates
from preprocessing.tiling_settings import Tiling
from preprocessing.tissue_judge import TissueJudge
from preprocessing.unit_regions import unit_regions
from preprocessing.unit_report import UnitReport
from preprocessing.unit_tasks import over_runs

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
    spark: SparkSession, units: WaveUnits, recipe: Recipe, spec: EngineSpec, model_id: str, staging: str
) -> list[UnitReport]:
    """Predict every tissue window of many units of work; workers write the shards.

    Args:
        spark: the session.
        units: of a wave; travels to the workers.
        recipe: from `prediction_recipe`.
        spec: of the engine; its files were sent to the workers.
        model_id: short hash of the model, noted in every row.
        staging: URI; `slide_id=I/*.parquet` appear below it, and `prepare` left the tissue masks there.

    Returns:
        A report of each unit. Memory of a worker: the model, a block at every scale, one batch of patches, 20 bytes a
        window of a unit, and what the slide's reader keeps.
    """
    written = patch_counter(spark)
    predict_run = partial(_predict_run, recipe=recipe, spec=spec, model_id=model_id, staging=staging, written=written)
    with stage(spark, f"judge {counted(len(units), 'unit')} of {counted(len(units.plans), 'slide')}"):
        return over_runs(spark, units, predict_run)


def _predict_run(
    plan: SlidePlan,
    shards: range,
    recipe: Recipe,
    spec: EngineSpec,
    model_id: str,
    staging: str,
    written: Accumulator[int],
) -> Iterator[UnitReport]:
    started, slide_id = time.monotonic(), plan.entry.slide_id
    with isolated(slide_id, f"predict from {shards.start}", staging) as alive, plan.opened() as slide:
        tissue = plan.judge(recipe, staging)
        for shard, judged in judge_run(plan, shards, slide, recipe, lambda: engine(spec), tissue, alive):
            rows = positives = size = 0
            if judged is not None:
                rows, positives = len(judged.origins), int((judged.probability >= recipe.inference.threshold).sum())
                size = _write(judged, plan, shard, model_id, staging)
                written.add(rows)
            yield UnitReport(slide_id, shard, rows, positives, time.monotonic() - started, size)
            started = time.monotonic()


@dataclass(frozen=True)
class Judged:
    """The windows of a unit of work, block by block.

    Attributes:
        origins: (n, 2) int32, top-left corners, scale-0 pixels; n at least 1.
        probability: (n,) float32.
        tissue_fraction: (n,) float32, of each window's cell.
    """

    origins: NDArray[np.int32]
    probability: NDArray[np.float32]
    tissue_fraction: NDArray[np.float32]


def _write(judged: Judged, plan: SlidePlan, shard: int, model_id: str, staging: str) -> int:
    xy = to_level_0(judged.origins, plan.scales[0].downsample)
    columns = [xy[:, 0], xy[:, 1], judged.probability, judged.tissue_fraction, [model_id] * len(xy)]
    table = pa.Table.from_arrays([pa.array(column) for column in columns], schema=PREDICTION_SCHEMA)
    name = f"slide_id={plan.entry.slide_id}/part-{shard:05d}.parquet"
    return write_shard([table], PREDICTION_SCHEMA, Store(staging), name)


def judge_run(
    plan: SlidePlan,
    shards: range,
    slide: ScaledSlide,
    recipe: Recipe,
    engine_of_worker: Callable[[], Engine],
    tissue: TissueJudge,
    alive: Callable[[], None],
) -> Iterator[tuple[int, Judged | None]]:
    """Find and judge the windows of consecutive units of work, each tile of the slide decoded once.

    That holds as long as a column of a unit's blocks fits into the reader's cache, and the tiles that units share with
    later ones into what the reader keeps for these (`DirectReader`; OpenSlide keeps by itself what it was asked last).

    Args:
        plan, shards: the units.
        slide, recipe, engine_of_worker, tissue, alive: as for `judge_unit`.

    Yields:
        The number of each unit, and what `judge_unit` finds there.
    """
    for shard in shards:
        slide.slide.keep(unit_regions(plan, range(shard + 1, shards.stop), recipe))
        yield shard, judge_unit(plan, shard, slide, recipe, engine_of_worker, tissue, alive)


def judge_unit(
    plan: SlidePlan,
    shard: int,
    slide: ScaledSlide,
    recipe: Recipe,
    engine_of_worker: Callable[[], Engine],
    tissue: TissueJudge,
    alive: Callable[[], None],
) -> Judged | None:
    """Find and judge the windows of a unit of work.

    Args:
        plan, shard: the unit.
        slide: of the plan, open.
        recipe: from `prediction_recipe`.
        engine_of_worker: called only where there is something to judge.
        tissue: the recipe's rule on this slide.
        alive: called before every block, as a sign of life.

    Returns:
        None where the unit has no tissue.
    """
    tiling, fractions = recipe.tiling, []

    def places() -> Iterator[NDArray[np.int32]]:
        grid, mine = plan.blocks(shard, recipe)
        downwards = sorted(mine, key=lambda block: (block.x, block.y))  # a unit is wide: its columns are the shorter
        for found in unit_candidates(slide, grid, downwards, None, tissue, tiling, alive):
            fractions.append(cell_tissue(slide, found.origins, tissue, tiling))
            yield found.origins

    def batches() -> Iterator[Images]:
        for corners, images in full_batches(slide, places(), tiling.window, recipe.inference.batch_size, plan.stain):
            alive()
            origins.append(corners.copy())
            yield images

    origins: list[NDArray[np.int32]] = []
    windows = batches()
    first = next(windows, None)
    if first is None:
        return None
    probability = engine_of_worker().predict(chain([first], windows))
    return Judged(np.concatenate(origins), probability, np.concatenate(fractions))


def cell_tissue(
    slide: ScaledSlide, origins: NDArray[np.int32], tissue: TissueJudge, tiling: Tiling
) -> NDArray[np.float32]:
    """Share of tissue in the cell of each window: the square of the grid's step, or the window's if that is smaller.

    Args:
        slide: open; the windows of a block were just judged on it, so that no pixel is read again.
        origins: (n, 2) top-left corners of these windows, scale-0 pixels, n at least 1.
        tissue: the recipe's rule on this slide.
        tiling: from `prediction_recipe`.

    Returns:
        (n,) float32.
    """
    side = min(tiling.stride, tiling.window)
    return tissue.fractions(slide, origins + np.int32((tiling.window - side) // 2), side)
