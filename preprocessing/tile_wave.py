"""One wave of slides into the patch table: in one pass where nothing is drawn, else survey, selection, extraction."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from preprocessing.extract import extract
from preprocessing.inventory import SlideEntry
from preprocessing.ledger import Outcome
from preprocessing.one_pass import tile_in_one_pass
from preprocessing.prepare import prepare
from preprocessing.publish import SlideTable
from preprocessing.recipe import Recipe
from preprocessing.schema import slide_folder
from preprocessing.selection import select
from preprocessing.slide_plan import SlidePlan, WaveUnits
from preprocessing.survey import survey
from preprocessing.unit_report import Totals, outcome_of, totals_by_slide

_NO_TISSUE = "no position passes the tissue rule"


def tile_wave(spark: SparkSession, entries: Sequence[SlideEntry], recipe: Recipe, table: SlideTable) -> list[Outcome]:
    """Tile a wave of slides and publish the good ones.

    Args:
        spark: the session.
        entries: the slides.
        recipe: what to cut.
        table: the patch table.

    Returns:
        One outcome a slide. Memory of the driver: a row per unit of work of the wave.
    """
    plans, outcomes = prepare(spark, entries, recipe, table.staging)
    if plans:
        units = WaveUnits(plans)
        nothing_to_draw = recipe.tiling.sampling.keeps_all and all(plan.entry.max_normals is None for plan in plans)
        work = _in_one_pass if nothing_to_draw else _drawn
        for outcome in work(spark, units, recipe, table.staging):
            if outcome.status == "done":
                table.publish(slide_folder(outcome.entry.split, outcome.entry.slide_id), outcome.entry.slide_id)
            outcomes.append(outcome)
    return outcomes


def _in_one_pass(spark: SparkSession, units: WaveUnits, recipe: Recipe, staging: str) -> list[Outcome]:
    totals = totals_by_slide(tile_in_one_pass(spark, units, recipe, staging).toPandas())
    found = [(plan, totals.get(plan.entry.slide_id, Totals())) for plan in units.plans]
    return [outcome_of(plan, total, total.rows, total.rows, _NO_TISSUE) for plan, total in found]


def _drawn(spark: SparkSession, units: WaveUnits, recipe: Recipe, staging: str) -> list[Outcome]:
    """Survey all units, draw, and extract what was drawn, from slides whose survey went well."""
    surveyed = survey(spark, units, recipe, staging).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        reports = _survey_reports(surveyed)
        good = reports.index[reports["error_type"].isna()].tolist()
        candidates = surveyed.where(F.col("x").isNotNull() & F.col("slide_id").isin(good))
        quotas = {plan.entry.slide_id: plan.entry.max_normals for plan in units.plans}
        chosen = select(candidates, recipe.tiling.sampling, quotas)
        counted = chosen.groupBy("slide_id").agg(F.count("*").alias("chosen")).toPandas()
        wanted = dict(zip(counted["slide_id"], counted["chosen"].astype(int), strict=True))
        written = totals_by_slide(extract(chosen, units, recipe, staging).toPandas())
    finally:
        surveyed.unpersist()
    return [_drawn_outcome(plan, reports, wanted, written) for plan in units.plans]


def _survey_reports(surveyed: DataFrame) -> pd.DataFrame:
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


def _drawn_outcome(
    plan: SlidePlan, reports: pd.DataFrame, wanted: Mapping[str, int], written: Mapping[str, Totals]
) -> Outcome:
    slide_id = plan.entry.slide_id
    report = reports.loc[slide_id].to_dict()
    extracted = written.get(slide_id, Totals())
    failure = extracted.failure
    if report["error_type"] is not None:
        failure = (str(report["error_type"]), str(report["error"]), str(report["trace"]))
    seconds = extracted.seconds + float(report["seconds"])
    totals = replace(extracted, units=int(report["units"]), seconds=seconds, failure=failure)
    return outcome_of(plan, totals, int(report["candidates"]), wanted.get(slide_id, 0), _NO_TISSUE)
