"""The demo of mammography: drawn CBIS-DDSM, a network of regions, the network of whole images made of it, its AUC."""

from pathlib import Path
from typing import Final

import click

from cluster.errors import JobError
from cluster.session import spark_session
from histospark.demos.steps import Stopwatch, inferred, shipped_recipe, tiled, told, training_told, whole
from histospark.drawing.mammograms import draw_cbis_ddsm
from inference.evaluate import report_on
from preprocessing.batch import BatchSummary
from preprocessing.datasets.listing import Folder
from preprocessing.inventory import inventory
from preprocessing.mammograms.cbis_ddsm import listed_mammograms
from preprocessing.mammograms.job import REGIONS, WHOLE, run_preparation
from preprocessing.recipe import Recipe
from training.card import load_card
from training.job import run_training

BOX: Final = (288, 224)  # a quarter of the published 1152 x 896
LOWEST_AUC: Final = 0.75  # whole images of the split test; below it something is broken
PATIENTS: Final = 96
_SMALL: Final = (
    "training.weights=none",  # no download
    "training.backbone=mobilenet_v3_small",
    "training.mean_color=null",  # it has its own scaling
    "training.batch_norm_momentum=0.9",  # few steps
    "tiling.splits.validation_fraction=0.2",
    "tiling.splits.test_fraction=0.2",
)
OVERRIDES: Final = (
    *_SMALL,
    f"tiling.window={BOX[0]}",
    f"tiling.center={BOX[0]}",
    f"tiling.stride={BOX[0]}",
    f"inference.stride={BOX[0]}",
    f"training.input_crop={list(BOX)}",
    "training.blocks=[{channels: [64, 64, 128]}]",
    "training.batch_size=8",
    "training.stages=[{trainable_from: head, epochs: 6, rate: {kind: constant, value: 0.001}},"
    " {trainable_from: 0, epochs: 6, optimizer: {name: adamw}, rate: {kind: constant, value: 0.0003}}]",
)
PATCH_OVERRIDES: Final = (
    *_SMALL,
    "tiling.window=64",
    "tiling.center=64",
    "tiling.stride=16",
    "tiling.jitter=7",
    "inference.stride=16",
    "training.stages=[{trainable_from: 0, epochs: 6, optimizer: {name: adamw}, rate: {kind: one_cycle, peak: 0.002}}]",
)


def run(recipe: Recipe, out: Path, master: str | None) -> None:
    """Draw mammograms, bring them to size, train on regions, then on whole images, and judge those of unseen patients.

    Raises:
        JobError: the model is not as good as it was everywhere else.
    """
    source, images, watch = out / "source", out / "mammograms", Stopwatch()
    of_regions = shipped_recipe("mammography_patches", PATCH_OVERRIDES)
    watch.step("draw", lambda: draw_cbis_ddsm(source, recipe.seed, PATIENTS))
    watch.step("prepare", lambda: _prepared(source, images, master))
    marked = inventory(str(images / REGIONS), of_regions.tiling, recipe.seed)
    cut = watch.step("tile regions", lambda: tiled(of_regions, marked, out / "patches", master))
    regions = watch.step(
        "train regions", lambda: run_training(of_regions, str(out / "patches"), str(out / "regions"), 0)
    )
    unseen = [entry for entry in marked if entry.split == "test"]
    watch.step("heatmaps", lambda: inferred(of_regions, unseen, regions.model, out / "heatmaps", master))
    labeled = inventory(str(images / WHOLE), recipe.tiling, recipe.seed)
    watch.step("tile images", lambda: tiled(recipe, labeled, out / "images", master))
    joined = recipe.model_copy(update={"training": recipe.training.model_copy(update={"weights": str(regions.model)})})
    trained = watch.step("train images", lambda: run_training(joined, str(out / "images"), str(out / "model"), 0))
    unseen = [entry for entry in labeled if entry.split == "test"]
    watch.step("infer", lambda: inferred(joined, unseen, trained.model, out / "result", master))
    report = report_on(str(out / "result"), unseen)
    click.echo(report.save(out / "report"))
    test = load_card(regions.model).class_metrics["test"]
    auc = report.findings.values["slide_auc"]["value"]
    click.echo(
        told(
            {
                "regions": f"{cut.patches} patches in five classes; accuracy {test.accuracy:.4f} on the split test",
                "training": training_told(trained, recipe.training.batch_size, watch.seconds["train images"]),
                "AUC": f"{auc:.4f} on whole mammograms of the split test, flips averaged",
                "heatmaps": str(out / "heatmaps" / "heatmaps"),
                "report": str(out / "report" / "metrics.md"),
                "time": f"{sum(watch.seconds.values()):.0f} s in all",
            }
        )
    )
    if auc < LOWEST_AUC:
        raise JobError(f"AUC {auc:.3f} on the split test is below {LOWEST_AUC}: something is broken")


def _prepared(source: Path, images: Path, master: str | None) -> BatchSummary:
    with spark_session("demo mammograms", master) as spark:
        return whole(run_preparation(spark, listed_mammograms(Folder.of(str(source))), str(images), BOX))
