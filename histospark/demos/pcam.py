"""The demo of PatchCamelyon: the published files, drawn small, to a model judged on slides that no other split has."""

from pathlib import Path
from typing import Final

import click

from cluster.errors import JobError
from cluster.session import spark_session
from histospark.demos.steps import Stopwatch, told, training_told, whole
from histospark.drawing.pcam import draw_pcam
from preprocessing.batch import BatchSummary
from preprocessing.importing.collection import open_collection
from preprocessing.importing.job import run_import
from preprocessing.recipe import Recipe
from training.card import load_card
from training.job import run_training

LOWEST_AUC: Final = 0.85  # on the slides of the split `test`; below it something is broken
OVERRIDES: Final = (
    "training.weights=none",  # no download
    "training.precision=float32",  # float16 is for GPUs
    "training.input_side=96",
    "training.batch_norm_momentum=0.9",  # few steps
    "training.batch_size=32",
    "training.stages=[{trainable_from: head, epochs: 1, optimizer: {name: adamw}, rate: {kind: one_cycle, peak: 0.01}},"
    " {trainable_from: 0, epochs: 3, optimizer: {name: adamw}, rate: {kind: one_cycle, peak: 0.001},"
    " group_rates: [0.1, 0.32, 1.0]}]",
)


def run(recipe: Recipe, out: Path, master: str | None) -> None:
    """Draw the collection, import it, train in two stages, and judge by the official test split.

    Raises:
        JobError: the model is not as good as it was everywhere else.
    """
    source, table, watch = out / "source", out / "tiles", Stopwatch()
    watch.step("draw", lambda: draw_pcam(source, recipe.seed))
    imported = watch.step("import", lambda: _import(recipe, source, table, master))
    trained = watch.step("train", lambda: run_training(recipe, str(table), str(out / "model"), replicas=0))
    test = load_card(trained.model).metrics["test"]
    click.echo(trained.report.table)
    click.echo(
        told(
            {
                "patches": f"{imported.patches} of {imported.done} slides, {imported.positives} of them tumor",
                "training": training_told(trained, recipe.training.batch_size, watch.seconds["train"]),
                "AUC": f"{test.auc:.4f} on the {test.patches} patches of the split test",
                "accuracy": f"{test.accuracy:.4f} on them",
                "report": str(trained.report.page),
                "time": f"{sum(watch.seconds.values()):.0f} s in all",
            }
        )
    )
    if test.auc < LOWEST_AUC:
        raise JobError(f"AUC {test.auc:.3f} on the split test is below {LOWEST_AUC}: something is broken")


def _import(recipe: Recipe, source: Path, table: Path, master: str | None) -> BatchSummary:
    with spark_session("demo import", master) as spark:
        return whole(run_import(spark, recipe, open_collection(str(source)), str(table)))
