"""The inference job: slides and a model in, predictions, heatmaps, lesions and scores out.

Runs as `histospark infer` and as `spark-submit inference/job.py`.
"""

import hashlib
import json
import logging
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
from pyspark import SparkFiles
from pyspark.sql import SparkSession

from cluster.entry import run_command
from cluster.errors import ExitCode, UsageError
from cluster.lock import refuse_locked
from cluster.session import spark_session
from cluster.storage import Store
from inference.assemble import COMPANIONS, LESION_COLUMNS, LESIONS
from inference.infer_wave import infer_wave
from inference.predict import PREDICTIONS, prediction_recipe
from preprocessing.batch import Batch, BatchSummary
from preprocessing.inventory import SlideEntry, inventory
from preprocessing.options import slide_job_options, tell
from preprocessing.publish import SlideTable
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe, save_recipe
from training.card import ModelCard, load_card
from training.exported import files_hash

log = logging.getLogger("histospark")


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
        What was done; `out` holds `predictions/`, `heatmaps/`, `slide_scores/`, `lesions.csv`, the ledger `slides/`,
        `recipe.yaml` and the model's card `model.json`.

    Raises:
        UsageError: no model, or one made for other scales, another window or another stain.
    """
    card = load_card(model)
    refuse_other_geometry(card, recipe)
    grid_recipe = prediction_recipe(recipe)
    table = SlideTable(Store(out), PREDICTIONS, companions=COMPANIONS)

    def note_recipe_and_model() -> None:
        save_recipe(recipe, out)
        table.store.write_bytes(card.model_dump_json(indent=2).encode(), "model.json")

    shipped = ship_model(spark, engine_files(model, card), card.model_id)
    settled = inference_id(recipe, card.model_id)
    join = partial(join_lesions, table.store)
    batch = Batch(spark, "infer", table, settled, wave, before=note_recipe_and_model, after=join)
    do_wave = partial(infer_wave, spark, recipe=grid_recipe, model=shipped, model_id=card.model_id, table=table)
    return batch.run(entries, do_wave)


def inference_id(recipe: Recipe, model_id: str) -> str:
    """What the ledger compares with earlier runs: a hash of all settings that shape an output, and the model."""
    shaping = [prediction_recipe(recipe).recipe_id, recipe.inference.threshold, recipe.inference.lesion_radius]
    return f"{hashlib.sha256(json.dumps(shaping).encode()).hexdigest()[:12]}-{model_id}"


def engine_files(model: Path, card: ModelCard) -> tuple[Path, ...]:
    """The files that workers compute with: the exported form, which agreed with the model, else the model itself.

    Raises:
        UsageError: the exported form is not the one that was compared.
    """
    if card.exported is None:
        return (model,)
    graph = model.with_name(card.exported.file)
    files = (graph, graph.with_suffix(".bin"))
    if not all(file.is_file() for file in files):
        log.warning("%s and its .bin are not beside %s: Keras computes, which is slower", graph.name, model)
        return (model,)
    if files_hash(graph) != card.exported.sha256:
        raise UsageError(
            f"{graph} is not the exported form that the card of {model.name} describes: copy all files of one "
            "training, or remove it, and Keras computes"
        )
    return files


def ship_model(spark: SparkSession, files: Sequence[Path], model_id: str) -> str:
    """Send a model to the workers under a name of its own: Spark never replaces a file it has sent.

    Args:
        spark: the session; a copy of the files stays with it until it ends, for workers that join late.
        files: of one form of the model; they differ in their suffix.
        model_id: short hash of the model.

    Returns:
        The name of the first one for `SparkFiles.get`; the others lie beside it.
    """
    copies = [Path(SparkFiles.getRootDirectory()) / f"{model_id}{file.suffix}" for file in files]
    for file, copy in zip(files, copies, strict=True):
        if not copy.exists():
            shutil.copyfile(file, copy)
            spark.sparkContext.addFile(str(copy))
    return copies[0].name


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
@click.option("--model", required=True, type=click.Path(path_type=Path), help="The model file, model.keras.")
def infer(
    conf: str, slides: str, model: Path, out: str, overrides: tuple[str, ...], master: str | None, wave: int
) -> ExitCode:
    """Run MODEL over slides: predictions, heatmaps, lesions and slide scores in OUT."""
    recipe = load_recipe(conf, overrides)
    entries = inventory(slides, recipe.tiling, recipe.seed)
    refuse_other_geometry(load_card(model), recipe)  # wrong use is answered before Spark starts
    refuse_locked(Store(out))
    with spark_session("infer", master) as spark:
        summary = run_inference(spark, recipe, entries, model, out, wave)
    found = f"{summary.patches} windows judged, {summary.positives} at or above {recipe.inference.threshold}"
    tell(summary, f"{found}; look at {out}/heatmaps")
    return summary.exit_code


if __name__ == "__main__":
    sys.exit(run_command(infer))
