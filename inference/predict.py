"""From slides and a model to predictions: tissue is found, read and judged block by block, on Spark."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import SparkFiles
from pyspark.sql import DataFrame

from cluster.storage import Store
from cluster.worker import keep_archive_listings
from inference.engine import Engine, engine
from preprocessing.crops import windows_at_scales
from preprocessing.grid import Block, to_level_0
from preprocessing.inventory import SlideEntry
from preprocessing.recipe import Recipe
from preprocessing.shard_file import write_shard
from preprocessing.slides import Slide
from preprocessing.survey import slide_shards, survey_block
from preprocessing.unit_report import REPORT_COLUMNS, failure_report, unit_report

PREDICTIONS: Final = "predictions"
PREDICTION_SCHEMA: Final = pa.schema(
    [
        pa.field("x", pa.int32(), nullable=False),
        pa.field("y", pa.int32(), nullable=False),
        pa.field("probability", pa.float32(), nullable=False),
        pa.field("model_id", pa.string(), nullable=False),
    ]
)


def prediction_recipe(recipe: Recipe) -> Recipe:
    """The recipe with the prediction grid in place of the training grid: its stride and its tissue limit."""
    tissue = recipe.tiling.tissue.model_copy(update={"min_fraction": recipe.inference.min_tissue})
    tiling = recipe.tiling.model_copy(update={"stride": recipe.inference.stride, "tissue": tissue})
    return recipe.model_copy(update={"tiling": tiling})


def predict(
    units: DataFrame, entries: Mapping[str, SlideEntry], recipe: Recipe, model: str, model_id: str, staging: str
) -> DataFrame:
    """Predict every tissue window of many units of work; workers write the shards.

    Args:
        units: `slide_id string, shard int`, one row a unit.
        entries: the slides of these units, by slide_id; travels to the workers.
        recipe: from `prediction_recipe`.
        model: name under which the model was sent, for `SparkFiles.get`.
        model_id: short hash of that file, noted in every row.
        staging: URI; `slide_id=I/*.parquet` appear below it.

    Returns:
        `REPORT_COLUMNS`, one row a unit. Memory of a worker: the model, a block, and two batches of patches.
    """

    def work(frames: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
        keep_archive_listings()
        judge = engine(SparkFiles.get(model), recipe.inference.batch_size)
        for frame in frames:
            for slide_id, shard in zip(frame["slide_id"], frame["shard"], strict=True):
                try:
                    yield _predict_unit(entries[slide_id], int(shard), recipe, judge, model_id, staging)
                except Exception as error:  # whatever one slide does, the others go on; the ledger gets the cause
                    yield failure_report(slide_id, int(shard), error)

    return units.mapInPandas(work, REPORT_COLUMNS)


def _predict_unit(
    entry: SlideEntry, shard: int, recipe: Recipe, judge: Engine, model_id: str, staging: str
) -> pd.DataFrame:
    started = time.monotonic()
    with Slide(entry.path) as slide:
        downsample = slide.info.downsamples[recipe.tiling.scales[0].level]
        mine = slide_shards(slide, entry.slide_id, recipe)[shard]
        judged = list(judge_blocks(slide, mine, recipe, judge))
    origins = np.concatenate([origins for origins, _ in judged] or [np.zeros((0, 2), np.int32)])
    probability = np.concatenate([values for _, values in judged] or [np.zeros(0, np.float32)])
    if len(origins):
        xy = to_level_0(origins, downsample)
        columns = [xy[:, 0], xy[:, 1], probability, [model_id] * len(xy)]
        table = pa.Table.from_arrays([pa.array(column) for column in columns], schema=PREDICTION_SCHEMA)
        write_shard(table, Store(staging), f"slide_id={entry.slide_id}/part-{shard:05d}.parquet")
    positives = int((probability >= recipe.inference.threshold).sum())
    return unit_report(entry.slide_id, shard, len(origins), positives, time.monotonic() - started)


def judge_blocks(
    slide: Slide, blocks: Iterable[Block], recipe: Recipe, judge: Engine
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float32]]]:
    """Predict the tissue windows of some blocks.

    Args:
        slide: open.
        blocks: to be read.
        recipe: from `prediction_recipe`.
        judge: computes the probabilities.

    Yields:
        Origins (n, 2) int32 in scale-0 pixels and probabilities (n,) float32, at most a batch at a time.
    """
    for block in blocks:
        found = survey_block(slide, block, None, recipe.tiling).origins
        for start in range(0, len(found), recipe.inference.batch_size):
            origins = found[start : start + recipe.inference.batch_size]
            images = [np.stack(windows) for windows in windows_at_scales(slide, origins, recipe.tiling)]
            yield origins, judge.predict(images)
