"""One wave of slides through prediction and assembly, into predictions, heatmaps, lesions and scores."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
from pyspark.sql import SparkSession

from inference.assemble import assemble
from inference.predict import predict
from preprocessing.errors import LostPatchesError
from preprocessing.inventory import SlideEntry
from preprocessing.ledger import Outcome, failed_by
from preprocessing.probe import Probed, probe, units_of
from preprocessing.publish import SlideTable
from preprocessing.recipe import Recipe


def infer_wave(
    spark: SparkSession, entries: Sequence[SlideEntry], recipe: Recipe, model: str, model_id: str, table: SlideTable
) -> list[Outcome]:
    """Run the model over a wave of slides and publish the good ones.

    Args:
        spark: the session; the model was sent by `ship_model`.
        entries: the slides.
        recipe: from `prediction_recipe`.
        model: name under which the model was sent.
        model_id: short hash of that file.
        table: of the predictions.

    Returns:
        One outcome a slide. Memory of the driver: a row per unit of work of the wave.
    """
    probed, outcomes = probe(spark, entries, recipe.tiling)
    if not probed:
        return outcomes
    by_id = {slide.entry.slide_id: slide.entry for slide in probed}
    reports = predict(units_of(spark, probed), by_id, recipe, model, model_id, table.staging).toPandas()
    judged = [_outcome(slide, reports[reports["slide_id"] == slide.entry.slide_id]) for slide in probed]
    done = [outcome for outcome in judged if outcome.status == "done"]
    if done:
        finish = partial(_finished, recipe=recipe, model_id=model_id, staging=table.staging)
        done = spark.sparkContext.parallelize(done, len(done)).map(finish).collect()
    for outcome in done:
        if outcome.status == "done":
            table.publish(f"slide_id={outcome.entry.slide_id}", outcome.entry.slide_id)
    return [*outcomes, *done, *(outcome for outcome in judged if outcome.status != "done")]


def _outcome(slide: Probed, reports: pd.DataFrame) -> Outcome:
    seconds = float(reports["seconds"].sum())
    failures = reports[reports["error_type"].notna()]
    if not failures.empty:
        first = failures.iloc[0]
        cause = (str(first["error_type"]), str(first["error"]), str(first["trace"]))
        return Outcome(slide.entry, "failed", slide.info, *cause, seconds=seconds)
    rows, positives = int(reports["rows"].sum()), int(reports["positives"].sum())
    if len(reports) != slide.shards:
        lost = f"{len(reports)} of {slide.shards} units reported; run again"
        return Outcome(slide.entry, "failed", slide.info, LostPatchesError.__name__, lost, seconds=seconds)
    if rows == 0:
        return Outcome(slide.entry, "empty", slide.info, error="no tissue found", seconds=seconds)
    return Outcome(slide.entry, "done", slide.info, candidates=rows, patches=rows, positives=positives, seconds=seconds)


def _finished(outcome: Outcome, recipe: Recipe, model_id: str, staging: str) -> Outcome:
    try:
        assemble(outcome.entry, recipe, model_id, staging)
    except Exception as error:  # whatever one slide does, the others go on; the ledger gets the cause
        return failed_by(outcome.entry, error, outcome.info)
    return outcome
