"""From chosen positions to Parquet shards: each unit of work opens its slide once and writes its own files."""

import time
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from cluster.storage import Store
from cluster.worker import keep_archive_listings
from preprocessing.crops import encode, windows_at_scales
from preprocessing.inventory import SlideEntry
from preprocessing.recipe import Recipe
from preprocessing.schema import image_columns, label_folder, patch_schema, slide_folder
from preprocessing.shard_file import write_shard
from preprocessing.slides import Slide
from preprocessing.tiling_settings import Tiling
from preprocessing.unit_report import REPORT_COLUMNS, failure_report, unit_report


def extract(
    chosen: DataFrame, entries: Mapping[str, SlideEntry], recipe: Recipe, staging: str, partitions: int
) -> DataFrame:
    """Cut, encode and write the chosen patches below a staging folder.

    Args:
        chosen: columns of the survey.
        entries: the slides, by slide_id; travels to the workers.
        recipe: what to cut.
        staging: URI; `split=S/slide_id=I/label=L/*.parquet` appear below it.
        partitions: Spark tasks; changes neither files nor rows.

    Returns:
        `REPORT_COLUMNS`, one row a unit. Memory of a worker: a block, and the encoded patches of one unit.
    """

    def work(positions: pd.DataFrame) -> pd.DataFrame:
        keep_archive_listings()
        slide_id, shard = str(positions["slide_id"].iloc[0]), int(positions["shard"].iloc[0])
        try:
            return _extract_unit(entries[slide_id], shard, positions, recipe, staging)
        except Exception as error:  # whatever one slide does, the others go on; the ledger gets the cause
            return failure_report(slide_id, shard, error)

    keys = ["slide_id", "shard"]
    return chosen.repartition(partitions, *keys).groupBy(*keys).applyInPandas(work, REPORT_COLUMNS)


def _extract_unit(entry: SlideEntry, shard: int, positions: pd.DataFrame, recipe: Recipe, staging: str) -> pd.DataFrame:
    started = time.monotonic()
    positions = _in_reading_order(positions, recipe.tiling.block)
    origins = positions[["column", "row"]].to_numpy(np.int32)
    images: list[list[bytes]] = [[] for _ in recipe.tiling.scales]
    with Slide(entry.path) as slide:
        for start, end in pairwise(_block_bounds(origins, recipe.tiling.block)):
            for scale, encoded in enumerate(_encoded(slide, origins[start:end], recipe.tiling)):
                images[scale] += encoded
    table = _table(positions, images, recipe)
    folder = slide_folder(entry.split, entry.slide_id)
    _write_labels(table, positions["label"], Store(staging), folder, shard)
    return unit_report(
        entry.slide_id, shard, len(table), int((positions["label"] > 0).sum()), time.monotonic() - started
    )


def _in_reading_order(positions: pd.DataFrame, block: int) -> pd.DataFrame:
    """Block by block, raster order inside: each region of the slide is read once, neighbors together."""
    keys = {"block_row": positions["row"] // block, "block_column": positions["column"] // block}
    order = ["block_row", "block_column", "row", "column"]
    return positions.assign(**keys).sort_values(order, ignore_index=True)


def _block_bounds(origins: NDArray[np.int32], block: int) -> list[int]:
    """Where one block's positions end and the next block's start, with both ends of the array."""
    changes = np.any(np.diff(origins // block, axis=0) != 0, axis=1)
    return [0, *(np.flatnonzero(changes) + 1).tolist(), len(origins)]


def _encoded(slide: Slide, origins: NDArray[np.int32], tiling: Tiling) -> list[list[bytes]]:
    return [
        [encode(window, tiling.image) for window in windows] for windows in windows_at_scales(slide, origins, tiling)
    ]


def _table(positions: pd.DataFrame, images: list[list[bytes]], recipe: Recipe) -> pa.Table:
    """Rows in the order of `patch_id`, a hash, so that a row group is not one neighborhood."""
    columns: dict[str, Any] = {
        name: positions[name] for name in ("patch_id", "x", "y", "center_fraction", "tissue_fraction")
    }
    columns |= dict(zip(image_columns(len(images)), images, strict=True))
    columns["recipe_id"] = [recipe.recipe_id] * len(positions)
    schema = patch_schema(recipe)
    arrays = [pa.array(columns[field.name], field.type, from_pandas=True) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _write_labels(table: pa.Table, labels: "pd.Series[Any]", store: Store, folder: str, shard: int) -> None:
    """Write one file per label."""
    order = np.argsort(np.asarray(table["patch_id"]), kind="stable")
    for label in [None, *sorted(labels.dropna().unique())]:
        rows = labels.isna() if label is None else labels == label
        chosen = order[rows.fillna(False).to_numpy(bool)[order]]
        if len(chosen):
            name = f"{folder}/{label_folder(None if label is None else int(label))}/part-{shard:05d}.parquet"
            write_shard(table.take(pa.array(chosen)), store, name)
