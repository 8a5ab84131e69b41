"""`histospark demo`: the whole way, from slides it draws to the heatmap of a slide the model never saw."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final, TypeVar

import click

from cluster.errors import ExitCode, JobError
from cluster.session import spark_session
from histospark.drawing import draw_demo_slides
from inference.evaluate import evaluate_predictions
from inference.job import run_inference
from preprocessing.batch import BatchSummary
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from training.card import load_card
from training.job import TrainingResult, run_training

LOWEST_AUC: Final = 0.95  # on the unseen slide; below it something is broken
UNSEEN: Final = "tumor_unseen"

T = TypeVar("T")


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


class _Stopwatch:
    """Runs the steps of the demo and remembers how long each took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def step(self, name: str, work: Callable[[], T]) -> T:
        click.echo(f"── {name}")
        started = time.monotonic()
        result = work()
        self.seconds[name] = time.monotonic() - started
        return result


@click.command()
@click.option("--out", default="demo-out", show_default=True, type=click.Path(path_type=Path), help="Output folder.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of conf/demo.yaml.")
@click.option("--master", default=None, help="Spark master; default: all local cores.")
def demo(out: Path, overrides: tuple[str, ...], master: str | None) -> ExitCode:
    """Draw slides, tile them, train a model, and find the lesions of a slide it never saw."""
    with as_file(files("conf") / "demo.yaml") as path:
        recipe = load_recipe(str(path), overrides)
    folders, watch = _Folders(out), _Stopwatch()
    watch.step("draw", lambda: draw_demo_slides(folders.slides, recipe.seed))
    tiled = watch.step("tile", lambda: _tile(recipe, folders, master))
    trained = watch.step("train", lambda: run_training(recipe, str(folders.tiles), str(folders.model), replicas=0))
    inferred = watch.step("infer", lambda: _infer(recipe, folders, trained.model, master))
    unseen = inventory(str(folders.slides / f"{UNSEEN}.tif"), recipe.tiling, recipe.seed)
    metrics, table = evaluate_predictions(str(folders.result), unseen, folders.result)
    click.echo(table)
    click.echo(_summary(recipe, watch.seconds, tiled, trained, inferred, metrics.auc, folders))
    if metrics.auc < LOWEST_AUC:
        raise JobError(f"AUC {metrics.auc:.3f} on the unseen slide is below {LOWEST_AUC}: something is broken")
    return ExitCode.GOOD


def _tile(recipe: Recipe, folders: _Folders, master: str | None) -> BatchSummary:
    entries = inventory(str(folders.slides), recipe.tiling, recipe.seed)
    known = [entry for entry in entries if entry.slide_id != UNSEEN]
    with spark_session("demo tile", master) as spark:
        return _whole(run_tiling(spark, recipe, known, str(folders.tiles)))


def _infer(recipe: Recipe, folders: _Folders, model: Path, master: str | None) -> BatchSummary:
    entries = inventory(str(folders.slides / f"{UNSEEN}.tif"), recipe.tiling, recipe.seed)
    with spark_session("demo infer", master) as spark:
        return _whole(run_inference(spark, recipe, entries, model, str(folders.result)))


def _whole(summary: BatchSummary) -> BatchSummary:
    if summary.failed:
        raise JobError(f"{summary.failed} of the demo's slides failed: {summary.faults[0]}")
    return summary


def _summary(
    recipe: Recipe,
    seconds: dict[str, float],
    tiled: BatchSummary,
    trained: TrainingResult,
    inferred: BatchSummary,
    auc: float,
    folders: _Folders,
) -> str:
    rows = sum(load_card(trained.model).data.rows["train"].values())
    steps = len(trained.epochs) * math.ceil(rows / recipe.training.batch_size)
    rate = len(trained.epochs) * rows / sum(epoch.seconds for epoch in trained.epochs)
    lines = {
        "slides": f"{tiled.done} to learn from, {inferred.done} unseen (drawn in {seconds['draw']:.0f} s)",
        "patches": f"{tiled.patches}, {tiled.positives} of them tumor; {tiled.patches / seconds['tile']:.0f} patches/s",
        "training": f"{steps} steps of {recipe.training.batch_size} at {rate:.0f} patches/s, {seconds['train']:.0f} s",
        "inference": f"{inferred.patches} windows, {inferred.patches / seconds['infer']:.0f} a second",
        "AUC": f"{auc:.4f} on the windows of the unseen slide",
        "time": f"{sum(seconds.values()):.0f} s in all",
        "heatmap": str(folders.result / "heatmaps" / f"{UNSEEN}.png"),
        "ROC curve": str(folders.result / "roc.png"),
        "ledger": f"histospark status {folders.tiles}",
    }
    return "\n".join(f"{name:>10}  {text}" for name, text in lines.items())
