"""Patches of a collection into the patch table: read in the order of its files, written slide by slide."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import pandas as pd
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cluster.stage_names import stage
from cluster.words import counted
from cluster.worker import make_tasks_quick
from preprocessing.errors import LostPatchesError, SlideReadError
from preprocessing.importing.collection import Collection
from preprocessing.importing.duplicates import duplicates
from preprocessing.importing.patches import KEY_NAMES, READ, WRITTEN, chunks, read_chunk, with_shards, write_part
from preprocessing.ledger import Outcome
from preprocessing.publish import SlideTable
from preprocessing.recipe import Recipe
from preprocessing.schema import slide_folder
from preprocessing.slide_entry import SlideEntry

MOST_TASKS: Final = 1000  # that write; each has whole files, one after the other


def import_wave(
    spark: SparkSession,
    entries: Sequence[SlideEntry],
    collection: Collection,
    recipe: Recipe,
    table: SlideTable,
    found: Callable[[pd.DataFrame], None],
) -> list[Outcome]:
    """Bring slides of a collection into the table: each patch is read once and encoded once.

    Args:
        spark: the session.
        entries: the slides; all those of a run together, as the files are read once for all of them.
        collection: where their patches are.
        recipe: how patches are stored; `tiling.stored_window` is their side.
        table: the patch table.
        found: is given the patches that are there more than once, see `duplicates`.

    Returns:
        One outcome a slide, the good ones published; a patch that cannot be read fails its slide. Memory of the
        driver: 300 bytes a patch; of a worker: `CHUNK` patches decoded, or about `SHARD` encoded.
    """
    split_of = {entry.slide_id: entry.split for entry in entries}
    wanted = collection.rows[collection.rows["slide_id"].isin(list(split_of))]
    wanted = with_shards(wanted.assign(split=wanted["slide_id"].map(split_of)))
    with stage(spark, f"import {counted(len(wanted), 'patch')} of {counted(len(entries), 'slide')}"):
        written = imported(spark, wanted, collection, recipe, table.staging).persist(StorageLevel.MEMORY_AND_DISK)
        try:
            totals = {row["slide_id"]: row.asDict() for row in _totals(written).collect()}
            found(duplicates(written.where("error is null")).toPandas())
        finally:
            written.unpersist()
    counts = wanted["slide_id"].value_counts()
    outcomes = [_outcome(entry, int(counts[entry.slide_id]), totals) for entry in entries]
    for outcome in outcomes:
        if outcome.status == "done":
            table.publish(slide_folder(outcome.entry.split, outcome.entry.slide_id), outcome.entry.slide_id)
    return outcomes


def imported(
    spark: SparkSession, rows: pd.DataFrame, collection: Collection, recipe: Recipe, staging: str
) -> DataFrame:
    """Read patches where they lie, bring those of a slide together, and write them.

    Args:
        spark: the session.
        rows: of the collection, with `split` and `shard`.
        collection: for its reader.
        recipe: how patches are stored.
        staging: URI of the staging folder.

    Returns:
        Columns `WRITTEN`, a row a patch; nothing happens before they are asked for.
    """

    def read(parts: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        make_tasks_quick()
        for part in parts:
            for packed in part["packed"]:
                yield read_chunk(packed, collection.read, recipe)

    packed = [(part,) for part in chunks(rows)]
    lists = spark.createDataFrame(spark.sparkContext.parallelize(packed, len(packed)), "packed binary")
    write = partial(write_part, recipe=recipe, staging=staging)
    tasks = min(rows.groupby(KEY_NAMES).ngroups, MOST_TASKS)
    of_files = lists.mapInPandas(read, READ).repartition(tasks, *KEY_NAMES)
    return of_files.groupBy(*KEY_NAMES).applyInPandas(write, WRITTEN)


def _totals(written: DataFrame) -> DataFrame:
    """By slide: patches, those of a label above 0, and the first error."""
    return written.groupBy("slide_id").agg(
        F.count("*").alias("patches"),
        F.sum((F.col("label") > 0).cast("int")).alias("positives"),
        F.sum("bytes").alias("bytes"),
        F.min("error").alias("error"),
    )


def _outcome(entry: SlideEntry, wanted: int, totals: Mapping[str, Mapping[str, Any]]) -> Outcome:
    total = totals.get(entry.slide_id, {"patches": 0, "error": None})
    if total["error"] is not None:
        return Outcome(entry, "failed", error_type=SlideReadError.__name__, error=total["error"])
    if total["patches"] != wanted:
        lost = f"{total['patches']} of {wanted} patches were written; run again"
        return Outcome(entry, "failed", error_type=LostPatchesError.__name__, error=lost)
    counts = {"candidates": wanted, "patches": wanted, "positives": total["positives"]}
    return Outcome(entry, "done", **counts, written_bytes=total["bytes"])
