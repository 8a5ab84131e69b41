"""One wave of slides into the patch table: in one pass where nothing is drawn, else survey, selection, extraction."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pyspark.sql import SparkSession

from preprocessing.draw import Draw, Found, draw
from preprocessing.extract import extract
from preprocessing.inventory import SlideEntry
from preprocessing.ledger import Outcome
from preprocessing.one_pass import tile_in_one_pass
from preprocessing.prepare import prepare
from preprocessing.publish import SlideTable
from preprocessing.recipe import Recipe
from preprocessing.schema import slide_folder
from preprocessing.selection import limits_of
from preprocessing.slide_plan import SlidePlan, WaveUnits
from preprocessing.survey import survey
from preprocessing.unit_report import Totals, by_slide, outcome_of, totals_by_slide

_NO_TISSUE = "no position passes the tissue rule"

log = logging.getLogger("histospark")


def tile_wave(spark: SparkSession, entries: Sequence[SlideEntry], recipe: Recipe, table: SlideTable) -> list[Outcome]:
    """Tile a wave of slides and publish the good ones.

    Args:
        spark: the session.
        entries: the slides.
        recipe: what to cut.
        table: the patch table.

    Returns:
        One outcome a slide. Memory of the driver: a report per unit of work of the wave.
    """
    plans, outcomes = prepare(spark, entries, recipe, table.staging)
    if plans:
        units = WaveUnits(plans)
        nothing_to_draw = limits_of(recipe.tiling).keeps_all and all(plan.entry.max_normals is None for plan in plans)
        work = _in_one_pass if nothing_to_draw else _drawn
        for outcome in work(spark, units, recipe, table.staging):
            if outcome.status == "done":
                table.publish(slide_folder(outcome.entry.split, outcome.entry.slide_id), outcome.entry.slide_id)
            if outcome.left_out:
                slide_id, count = outcome.entry.slide_id, outcome.left_out
                log.warning("%s: %d windows of its marked places do not fit the slide; see left_out", slide_id, count)
            outcomes.append(outcome)
    return outcomes


def _in_one_pass(spark: SparkSession, units: WaveUnits, recipe: Recipe, staging: str) -> list[Outcome]:
    totals = totals_by_slide(tile_in_one_pass(spark, units, recipe, staging))
    found = [(plan, totals.get(plan.entry.slide_id, Totals())) for plan in units.plans]
    return [outcome_of(plan, total, total.rows, total.rows, _NO_TISSUE) for plan, total in found]


def _drawn(spark: SparkSession, units: WaveUnits, recipe: Recipe, staging: str) -> list[Outcome]:
    """Survey all units, draw, and extract what was drawn, from slides whose survey went well."""
    reports = survey(spark, units, recipe, staging)
    surveyed, of_slide = totals_by_slide(reports), by_slide(reports)
    entries = [plan.entry for plan in units.plans if surveyed[plan.entry.slide_id].failure is None]
    found = [Found.of(entry, of_slide[entry.slide_id]) for entry in entries]
    draws = draw(spark, found, limits_of(recipe.tiling), staging)
    limits = {slide_id: drawn.limit for slide_id, drawn in draws.items() if drawn.limit is not None}
    drawn_well = {slide_id for slide_id, drawn in draws.items() if drawn.failure is None}
    numbers = [number for number, report in enumerate(reports) if report.rows and report.slide_id in drawn_well]
    patches = sum(surveyed[slide_id].certain + draws[slide_id].normals for slide_id in drawn_well)
    written = totals_by_slide(extract(spark, units, numbers, limits, recipe, staging, patches))
    return [_drawn_outcome(plan, surveyed, draws, written) for plan in units.plans]


def _drawn_outcome(
    plan: SlidePlan, surveyed: Mapping[str, Totals], draws: Mapping[str, Draw], written: Mapping[str, Totals]
) -> Outcome:
    slide_id = plan.entry.slide_id
    found, extracted = surveyed[slide_id], written.get(slide_id, Totals())
    drawn = draws.get(slide_id, Draw(0))
    failure = found.failure or drawn.failure or extracted.failure
    seconds = found.seconds + extracted.seconds
    totals = replace(extracted, units=found.units, seconds=seconds, failure=failure, left_out=found.left_out)
    return outcome_of(plan, totals, found.rows, found.certain + drawn.normals, _NO_TISSUE)
