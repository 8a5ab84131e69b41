"""One wave of slides through survey, selection and extraction, into the patch table."""

from collections.abc import Sequence

import pandas as pd
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from preprocessing.errors import LostPatchesError
from preprocessing.extract import extract
from preprocessing.inventory import SlideEntry
from preprocessing.ledger import Outcome
from preprocessing.probe import Probed, probe, units_of
from preprocessing.publish import SlideTable
from preprocessing.recipe import Recipe
from preprocessing.schema import slide_folder
from preprocessing.selection import select
from preprocessing.survey import survey


def tile_wave(spark: SparkSession, entries: Sequence[SlideEntry], recipe: Recipe, table: SlideTable) -> list[Outcome]:
    """Tile a wave of slides and publish the good ones.

    Args:
        spark: the session.
        entries: the slides.
        recipe: what to cut.
        table: the patch table.

    Returns:
        One outcome a slide. Memory of the driver: a few rows per slide of the wave.
    """
    probed, outcomes = probe(spark, entries, recipe.tiling)
    if not probed:
        return outcomes
    by_id = {slide.entry.slide_id: slide.entry for slide in probed}
    units = units_of(spark, probed)
    partitions = 2 * sum(slide.shards for slide in probed)  # spare ones, so that few units share a task
    surveyed = survey(units, by_id, recipe).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        reports = _reports(surveyed)
        good = [name for name in by_id if reports.at[name, "error_type"] is None]
        candidates = surveyed.where(F.col("x").isNotNull() & F.col("slide_id").isin(good))
        chosen = select(candidates, recipe.tiling.sampling)
        counts = chosen.groupBy("slide_id").agg(F.count("*").alias("chosen")).toPandas().set_index("slide_id")
        manifest = extract(chosen, by_id, recipe, table.staging, partitions).toPandas()
    finally:
        surveyed.unpersist()
    for slide in probed:
        name = slide.entry.slide_id
        wanted = int(counts["chosen"].get(name, 0))
        outcome = _outcome(slide, reports, wanted, manifest[manifest["slide_id"] == name])
        if outcome.status == "done":
            table.publish(slide_folder(slide.entry.split, name), name)
        outcomes.append(outcome)
    return outcomes


def _reports(surveyed: DataFrame) -> pd.DataFrame:
    """Per slide: units that reported, seconds, candidates, and the first failure."""
    first = {name: F.first(name, ignorenulls=True).alias(name) for name in ("error_type", "error", "trace")}
    is_report = F.col("x").isNull()
    return (
        surveyed.groupBy("slide_id")
        .agg(
            F.count(F.when(is_report, 1)).alias("units"),
            F.coalesce(F.sum("seconds"), F.lit(0.0)).alias("seconds"),
            F.count("x").alias("candidates"),
            *first.values(),
        )
        .toPandas()
        .set_index("slide_id")
    )


def _outcome(slide: Probed, reports: pd.DataFrame, wanted: int, written: pd.DataFrame) -> Outcome:
    report = reports.loc[slide.entry.slide_id].to_dict()
    seconds = float(report["seconds"] + written["seconds"].sum())
    failures = [report, *written.to_dict("records")]
    failure = next((row for row in failures if isinstance(row["error_type"], str)), None)
    rows = int(written["rows"].sum())
    if failure is not None:
        error_type, error, trace = (str(failure[name]) for name in ("error_type", "error", "trace"))
        return Outcome(slide.entry, "failed", slide.info, error_type, error, trace, seconds=seconds)
    if int(report["units"]) != slide.shards or rows != wanted:
        lost = f"{rows} of {wanted} patches written, {report['units']} of {slide.shards} units reported; run again"
        return Outcome(slide.entry, "failed", slide.info, LostPatchesError.__name__, lost, seconds=seconds)
    if wanted == 0:
        return Outcome(slide.entry, "empty", slide.info, error="no position passes the tissue rule", seconds=seconds)
    return Outcome(
        slide.entry,
        "done",
        slide.info,
        candidates=int(report["candidates"]),
        patches=rows,
        positives=int(written["positives"].sum()),
        seconds=seconds,
    )
