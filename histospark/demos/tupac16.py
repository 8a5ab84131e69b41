"""The demo of TUPAC16's proliferation scores: drawn slides in the published layout, to the scores of unseen ones."""

from pathlib import Path
from typing import Final

import click

from cluster.errors import JobError
from histospark.demos.steps import Stopwatch, inferred, tiled, told, training_told
from histospark.drawing.tupac import draw_tupac16
from inference.evaluate import report_on
from preprocessing.datasets.manifest_job import write_manifest
from preprocessing.inventory import inventory
from preprocessing.recipe import Recipe
from training.card import load_card
from training.job import run_training

LOWEST_AUC: Final = 0.8  # mean over the scores, patches of the split test; below it something is broken
LOWEST_RHO: Final = 0.5  # of its slides
OVERRIDES: Final = (
    "tiling.stride=128",  # more patches of small slides
    "tiling.splits.validation_fraction=0.25",  # two slides of every score
    "tiling.splits.test_fraction=0.25",
    "training.weights=none",  # no download
    "training.backbone=mobilenet_v3_small",
    "training.mean_color=null",  # it has its own scaling
    "training.input_side=96",
    "training.batch_norm_momentum=0.9",  # few steps
    "training.batch_size=32",
    "training.stages=[{trainable_from: head, epochs: 1, optimizer: {name: adam}, rate: {kind: constant, value: 0.001}},"
    " {trainable_from: 0, epochs: 3, optimizer: {name: adam}, rate: {kind: one_cycle, peak: 0.001}}]",
)


def run(recipe: Recipe, out: Path, master: str | None) -> None:
    """Draw slides and scores, list them, tile, train in two stages, and judge by slides that were kept apart.

    Raises:
        JobError: the model is not as good as it was everywhere else.
    """
    source, manifest, table, watch = out / "source", out / "slides.csv", out / "tiles", Stopwatch()
    watch.step("draw", lambda: draw_tupac16(source, recipe.seed))
    watch.step("list", lambda: write_manifest("tupac16", str(source), str(manifest)))
    entries = inventory(str(manifest), recipe.tiling, recipe.seed)
    cut = watch.step("tile", lambda: tiled(recipe, entries, table, master))
    trained = watch.step("train", lambda: run_training(recipe, str(table), str(out / "model"), replicas=0))
    click.echo(trained.report.table)
    unseen = [entry for entry in entries if entry.split == "test"]
    watch.step("infer", lambda: inferred(recipe, unseen, trained.model, out / "result", master))
    report = report_on(str(out / "result"), unseen)
    click.echo(report.save(out / "report"))
    auc = load_card(trained.model).class_metrics["test"].macro_auc or 0.0
    kappa, rho = (report.findings.values[name]["value"] for name in ("kappa", "spearman"))
    click.echo(
        told(
            {
                "patches": f"{cut.patches} of {cut.done} slides",
                "training": training_told(trained, recipe.training.batch_size, watch.seconds["train"]),
                "AUC": f"{auc:.4f}, mean over the scores, on the patches of the split test",
                "kappa": f"{kappa:.4f}, quadratic, and Spearman's rho {rho:.4f}, on its {len(unseen)} slides",
                "report": str(trained.report.page),
                "time": f"{sum(watch.seconds.values()):.0f} s in all",
            }
        )
    )
    for name, found, lowest in (("AUC", auc, LOWEST_AUC), ("Spearman's rho", rho, LOWEST_RHO)):
        if found < lowest:
            raise JobError(f"{name} {found:.3f} on the split test is below {lowest}: something is broken")
