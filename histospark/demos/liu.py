"""The demo of Liu et al. 2017: a drawn CAMELYON16 in its published folders, to the FROC of its test slides."""

from pathlib import Path
from typing import Final

import click

from cluster.errors import JobError
from histospark.demos.steps import Stopwatch, inferred, tiled, told, training_told
from histospark.drawing.camelyon16 import draw_camelyon16
from inference.evaluate import evaluate_predictions
from preprocessing.datasets.manifest_job import write_manifest
from preprocessing.inventory import inventory
from preprocessing.recipe import Recipe
from training.job import run_training

LOWEST_AUC: Final = 0.9  # of the windows of the test slides; below it something is broken
OVERRIDES: Final = (
    "tiling.scales=[{level: 1}]",  # all at half the size: 20x
    "tiling.window=149",
    "tiling.margin=4",
    "tiling.center=64",
    "tiling.stride=64",
    "tiling.splits.validation_fraction=0.34",
    "training.augmentation.jitter=4",
    "training.augmentation.brightness=0.1",  # all drawn slides are stained alike
    "training.augmentation.saturation=0.1",
    "training.augmentation.hue=0.02",
    "training.augmentation.contrast=0.1",
    "training.backbone=small_resnet",
    "training.weights=none",  # no download
    "training.precision=float32",
    "training.batch_norm_momentum=0.9",  # few steps
    "training.batch_size=32",
    "training.sampling.rows=768",
    "training.stages=[{trainable_from: 0, epochs: 3, optimizer: {name: rmsprop}, rate: {kind: halved, start: 0.05, "
    "every: 1536}}]",
    "inference.stride=64",
)


def run(recipe: Recipe, out: Path, master: str | None) -> None:
    """Draw the data set, list it, tile, train, run over its test slides in eight orientations, and judge them.

    Raises:
        JobError: the model is not as good as it was everywhere else.
    """
    source, manifest, table, watch = out / "source", out / "slides.csv", out / "tiles", Stopwatch()
    watch.step("draw", lambda: draw_camelyon16(source, recipe.seed))
    watch.step("list", lambda: write_manifest("camelyon16", str(source), str(manifest)))
    slides = inventory(str(manifest), recipe.tiling, recipe.seed)
    unseen = [slide for slide in slides if slide.split == "test"]
    known = [slide for slide in slides if slide.split != "test"]
    cut = watch.step("tile", lambda: tiled(recipe, known, table, master))
    trained = watch.step("train", lambda: run_training(recipe, str(table), str(out / "model"), replicas=0))
    judged = watch.step("infer", lambda: inferred(recipe, unseen, trained.model, out / "result", master))
    metrics, text = evaluate_predictions(str(out / "result"), unseen, out / "report")
    click.echo(text)
    click.echo(
        told(
            {
                "patches": f"{cut.patches} of {cut.done} slides, {cut.positives} of them tumor",
                "training": training_told(trained, recipe.training.batch_size, watch.seconds["train"]),
                "inference": f"{judged.patches} windows in 8 orientations in {watch.seconds['infer']:.0f} s",
                "AUC": f"{metrics.auc:.4f} on the windows of {len(unseen)} slides of the test",
                "report": str(out / "report" / "metrics.md"),
                "time": f"{sum(watch.seconds.values()):.0f} s in all",
            }
        )
    )
    if metrics.auc < LOWEST_AUC:
        raise JobError(f"AUC {metrics.auc:.3f} on the test slides is below {LOWEST_AUC}: something is broken")
