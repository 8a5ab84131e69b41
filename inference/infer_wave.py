"""One wave of slides through prediction and assembly, into predictions, heatmaps, lesions and scores."""

from collections.abc import Sequence
from functools import partial

from pyspark.sql import SparkSession

from cluster.worker import make_tasks_quick
from inference.assemble import assemble
from inference.predict import predict
from preprocessing.inventory import SlideEntry
from preprocessing.ledger import Outcome, failed_by
from preprocessing.prepare import prepare
from preprocessing.publish import SlideTable
from preprocessing.recipe import Recipe
from preprocessing.slide_plan import SlidePlan, WaveUnits
from preprocessing.unit_report import Totals, outcome_of, totals_by_slide


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
        One outcome a slide. Memory of the driver: a report per unit of work of the wave.
    """
    plans, outcomes = prepare(spark, entries, recipe, table.staging)
    if not plans:
        return outcomes
    units = WaveUnits(plans)
    totals = totals_by_slide(predict(spark, units, recipe, model, model_id, table.staging))
    judged = [_judged(plan, totals.get(plan.entry.slide_id, Totals())) for plan in plans]
    finish = partial(_finished, recipe=recipe, model_id=model_id, staging=table.staging)
    finished = spark.sparkContext.parallelize(judged, len(judged)).map(finish).collect()
    for outcome in finished:
        if outcome.status == "done":
            table.publish(f"slide_id={outcome.entry.slide_id}", outcome.entry.slide_id)
    return [*outcomes, *finished]


def _judged(plan: SlidePlan, totals: Totals) -> tuple[SlidePlan, Outcome]:
    return plan, outcome_of(plan, totals, totals.rows, totals.rows, "no tissue found")


def _finished(judged: tuple[SlidePlan, Outcome], recipe: Recipe, model_id: str, staging: str) -> Outcome:
    """Assemble what was judged well; the others stay as they are."""
    make_tasks_quick()
    plan, outcome = judged
    if outcome.status != "done":
        return outcome
    try:
        assemble(plan, recipe, model_id, "", staging)
    except Exception as error:  # whatever one slide does, the others go on; the ledger gets the cause
        return failed_by(plan.entry, error, plan.facts)
    return outcome
