"""One wave of slides through prediction and assembly, into predictions, heatmaps, lesions and scores."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from cluster.stage_names import stage
from cluster.words import counted
from cluster.worker import make_tasks_quick
from inference.predict import predict
from preprocessing.inventory import SlideEntry
from preprocessing.ledger import Outcome, failed_by
from preprocessing.prepare import prepare
from preprocessing.publish import SlideTable
from preprocessing.recipe import Recipe
from preprocessing.slide_plan import SlidePlan, WaveUnits
from preprocessing.unit_report import Totals, outcome_of, totals_by_slide

if TYPE_CHECKING:  # workers import this module, and what stands behind a model's card takes them a second
    from inference.engines.settled import RunEngine


def infer_wave(
    spark: SparkSession,
    entries: Sequence[SlideEntry],
    recipe: Recipe,
    engine: "RunEngine",
    model_id: str,
    table: SlideTable,
) -> list[Outcome]:
    """Run the model over a wave of slides and publish the good ones.

    Args:
        spark: the session.
        entries: the slides.
        recipe: from `prediction_recipe`.
        engine: of the run.
        model_id: short hash of the model.
        table: of the predictions.

    Returns:
        One outcome a slide. Memory of the driver: a report per unit of work of the wave.
    """
    plans, outcomes = prepare(spark, entries, recipe, table.staging)
    if not plans:
        return outcomes
    units = WaveUnits(plans)
    spec = engine.of_wave(plans, table.staging)
    totals = totals_by_slide(predict(spark, units, recipe, spec, model_id, table.staging))
    if any(total.rows for total in totals.values()):
        engine.used(spec)
    judged = [_judged(plan, totals.get(plan.entry.slide_id, Totals())) for plan in plans]
    finish = partial(_finished, recipe=recipe, model_id=model_id, engine=spec.label, staging=table.staging)
    with stage(spark, f"heatmaps of {counted(len(judged), 'slide')}"):
        finished = spark.sparkContext.parallelize(judged, len(judged)).map(finish).collect()
    for outcome in finished:
        if outcome.status == "done":
            table.publish(f"slide_id={outcome.entry.slide_id}", outcome.entry.slide_id)
    return [*outcomes, *finished]


def _judged(plan: SlidePlan, totals: Totals) -> tuple[SlidePlan, Outcome]:
    return plan, outcome_of(plan, totals, totals.rows, totals.rows, "no tissue found")


def _finished(judged: tuple[SlidePlan, Outcome], recipe: Recipe, model_id: str, engine: str, staging: str) -> Outcome:
    """Assemble what was judged well; the others stay as they are."""
    from inference.assemble import assemble  # noqa: PLC0415 - plots and regions take a second, and the driver needs none

    make_tasks_quick()
    plan, outcome = judged
    if outcome.status != "done":
        return outcome
    try:
        assemble(plan, recipe, model_id, engine, staging)
    except Exception as error:  # whatever one slide does, the others go on; the ledger gets the cause
        return failed_by(plan.entry, error, plan.facts)
    return outcome
