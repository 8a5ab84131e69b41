"""The inference job: slides and a model in, predictions, heatmaps, lesions and scores out.

Runs as `histospark infer` and as `spark-submit inference/job.py`.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click
from pyspark.sql import SparkSession

from cluster.entry import run_command
from cluster.errors import ExitCode, UsageError
from cluster.lock import refuse_locked
from cluster.session import spark_session
from cluster.storage import Store
from inference.engines.forms import checked_forms
from inference.engines.settled import RunEngine
from inference.engines.variants import Variants
from inference.infer_wave import infer_wave
from inference.model_source import local_model, model_option
from inference.predict import PREDICTIONS, prediction_recipe
from inference.refreshing.reported import reported
from inference.run_folder import CARD, run_folder
from inference.slide_files import COMPANIONS, LESION_COLUMNS, LESIONS
from preprocessing.batch import Batch, BatchSummary
from preprocessing.inference_settings import Inference
from preprocessing.inventory import SlideEntry, inventory
from preprocessing.options import slide_job_options, tell
from preprocessing.publish import SlideTable
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe, save_recipe
from training.card import ModelCard, load_card


def run_inference(
    spark: SparkSession, recipe: Recipe, entries: Sequence[SlideEntry], model: Path, out: str, wave: int = 32
) -> BatchSummary:
    """Run a model over all slides of a source that this model has not done yet.

    Args:
        spark: the session.
        recipe: how to run it; its scales and window must be the model's.
        entries: of the inventory.
        model: the `.keras` file, its card beside it.
        out: URI of the output folder.
        wave: slides worked on together.

    Returns:
        What was done. The run folder, `out` for the first model and `out/models/MODEL_ID` for each further one, holds
        `predictions/`, `heatmaps/`, `slide_scores/`, `lesions.csv`, the ledger `slides/`, `recipe.yaml`, the model's
        card `model.json`, and what computed, `engine.json`.

    Raises:
        UsageError: no model, or one made for other scales, another window or another stain, or without the form that
            the engine reads.
        JobError: the workers cannot compute in the precision asked for, or Spark or the output broke down.
    """
    card = load_card(model)
    refuse_other_geometry(card, recipe)
    forms = checked_forms(recipe.inference, model, card)
    grid_recipe = prediction_recipe(recipe)
    folder = run_folder(out, card.model_id)
    table = SlideTable(Store(folder), PREDICTIONS, companions=COMPANIONS)

    def note_recipe_and_model() -> None:
        if run_folder(out, card.model_id) != folder:  # seen by the one that has the lock
            raise UsageError(f"another model has just begun to write into {out}: run again, and it goes beside it")
        save_recipe(recipe, folder)
        table.store.write_bytes(card.model_dump_json(indent=2).encode(), CARD)

    settled = inference_id(recipe, card.model_id)
    join = partial(join_lesions, table.store)
    batch = Batch(spark, "infer", table, settled, wave, before=note_recipe_and_model, after=join)
    engine = RunEngine(spark, grid_recipe, forms, card.model_id, table.store)
    do_wave = partial(infer_wave, spark, recipe=grid_recipe, engine=engine, model_id=card.model_id, table=table)
    return batch.run(entries, do_wave)


def inference_id(recipe: Recipe, model_id: str) -> str:
    """What the ledger compares with earlier runs: a hash of all settings that shape an output, and the model."""
    names = ("threshold", "lesion_radius", "engine", "precision", "tolerance", "orientations", "overlap")
    settings = recipe.inference
    shaping = [prediction_recipe(recipe).recipe_id, *(getattr(settings, name) for name in names)]
    defaults = Inference(stride=settings.stride)
    newer = {
        name for name in ("lesions", "slide_score", "variants") if getattr(settings, name) != getattr(defaults, name)
    }
    if newer:  # at their defaults they are left out, so that results outlive new keys
        shaping.append(settings.model_dump(mode="json", include=newer))
    if settings.variants > 1:
        shaping.append(asdict(Variants.of(recipe)))
    return f"{hashlib.sha256(json.dumps(shaping).encode()).hexdigest()[:12]}-{model_id}"


def refuse_other_geometry(card: ModelCard, recipe: Recipe) -> None:
    """Make sure that the windows a model will see are those it was trained on.

    Raises:
        UsageError: other scales, another window, or another stain normalization.
    """
    for name in ("scales", "window", "stain"):
        trained, asked = getattr(card.recipe.tiling, name), getattr(recipe.tiling, name)
        if trained != asked:
            raise UsageError(
                f"model {card.model_id} was trained with tiling.{name} {trained}, the recipe {recipe.name} says "
                f"{asked}; use the recipe of the model"
            )


def join_lesions(store: Store) -> None:
    """Write `lesions.csv` of all slides, in the order of their names; one slide's lesions in memory at a time."""
    head = (",".join(LESION_COLUMNS) + "\n").encode()
    folder = LESIONS.rpartition("/")[0]
    with store.fs.open(store.path("_lesions.csv"), "wb") as joined:
        joined.write(head)
        for path in store.files(folder):
            joined.write(store.fs.cat_file(path))
    store.move("_lesions.csv", "lesions.csv")


@click.command()
@slide_job_options
@model_option
def infer(
    conf: str, slides: str, model: str, out: str, overrides: tuple[str, ...], master: str | None, wave: int
) -> ExitCode:
    """Run MODEL over slides: predictions, heatmaps, lesions and slide scores in OUT."""
    recipe = load_recipe(conf, overrides)
    entries = inventory(slides, recipe.tiling, recipe.seed)
    with local_model(model) as file:
        card = load_card(file)  # wrong use is answered before Spark starts
        refuse_other_geometry(card, recipe)
        checked_forms(recipe.inference, file, card)
        folder = run_folder(out, card.model_id)
        refuse_locked(Store(folder))
        told = reported(folder, recipe, card.model_id, inference_id(recipe, card.model_id), slides, entries)
        with spark_session("infer", master) as spark, told:
            summary = run_inference(spark, recipe, entries, file, out, wave)
    found = f"{summary.patches} windows judged, {summary.positives} at or above {recipe.inference.threshold}"
    tell(summary, f"{found}; look at it by histospark lab --run {out}")
    return summary.exit_code


if __name__ == "__main__":
    sys.exit(run_command(infer))
