"""The demo of slides: from drawn ones to the heatmap of a slide the model never saw."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from cluster.errors import JobError
from histospark.demos.steps import Stopwatch, inferred, tiled, told, training_told
from histospark.drawing import draw_demo_slides
from inference.evaluate import evaluate_predictions
from preprocessing.batch import BatchSummary
from preprocessing.inventory import inventory
from preprocessing.recipe import Recipe
from training.job import TrainingResult, run_training

LOWEST_AUC: Final = 0.97  # on the unseen slide; below it something is broken
UNSEEN: Final = "tumor_unseen"
OVERRIDES: Final = ()  # conf/demo.yaml is made for it


@dataclass(frozen=True)
class _Folders:
    """Where the demo puts things, below its output folder."""

    out: Path

    @property
    def slides(self) -> Path:
        return self.out / "slides"

    @property
    def tiles(self) -> Path:
        return self.out / "tiles"

    @property
    def model(self) -> Path:
        return self.out / "model"

    @property
    def result(self) -> Path:
        return self.out / "result"


def run(recipe: Recipe, out: Path, master: str | None) -> None:
    """Draw slides, tile them, train a model, and find the lesions of a slide it never saw.

    Raises:
        JobError: the model is not as good as it was everywhere else.
    """
    folders, watch = _Folders(out), Stopwatch()
    watch.step("draw", lambda: draw_demo_slides(folders.slides, recipe.seed))
    slides = inventory(str(folders.slides), recipe.tiling, recipe.seed)
    known = [slide for slide in slides if slide.slide_id != UNSEEN]
    unseen = [slide for slide in slides if slide.slide_id == UNSEEN]
    cut = watch.step("tile", lambda: tiled(recipe, known, folders.tiles, master))
    trained = watch.step("train", lambda: run_training(recipe, str(folders.tiles), str(folders.model), replicas=0))
    judged = watch.step("infer", lambda: inferred(recipe, unseen, trained.model, folders.result, master))
    metrics, table = evaluate_predictions(str(folders.result), unseen, folders.result)
    click.echo(table)
    click.echo(_summary(recipe, watch.seconds, cut, trained, judged, metrics.auc, folders))
    if metrics.auc < LOWEST_AUC:
        raise JobError(f"AUC {metrics.auc:.3f} on the unseen slide is below {LOWEST_AUC}: something is broken")


def _summary(
    recipe: Recipe,
    seconds: dict[str, float],
    cut: BatchSummary,
    trained: TrainingResult,
    judged: BatchSummary,
    auc: float,
    folders: _Folders,
) -> str:
    lines = {
        "slides": f"{cut.done} to learn from, {judged.done} unseen (drawn in {seconds['draw']:.0f} s)",
        "patches": f"{cut.patches}, {cut.positives} of them tumor; {cut.patches / seconds['tile']:.0f} patches/s",
        "training": training_told(trained, recipe.training.batch_size, seconds["train"]),
        "inference": f"{judged.patches} windows, {judged.patches / seconds['infer']:.0f} a second",
        "AUC": f"{auc:.4f} on the windows of the unseen slide",
        "time": f"{sum(seconds.values()):.0f} s in all",
        "heatmap": str(folders.result / "heatmaps" / f"{UNSEEN}.png"),
        "ROC curve": str(folders.result / "roc.png"),
        "ledger": f"histospark status {folders.tiles}",
    }
    return told(lines)
