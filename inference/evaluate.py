"""`histospark evaluate`: predictions against the annotations beside the slides, window by window."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import yaml
from numpy.typing import NDArray

from cluster.errors import ExitCode, UsageError
from cluster.storage import Store
from inference.assemble import read_predictions
from inference.predict import PREDICTIONS, prediction_recipe
from preprocessing.inventory import SlideEntry, inventory
from preprocessing.label_rule import label_windows
from preprocessing.labels import Truth, open_truth
from preprocessing.readers.opening import read_info
from preprocessing.recipe import Recipe
from preprocessing.scales import resolve_scales, slide_mpp
from training.card import ModelCard
from training.metrics import BinaryMetrics
from training.report import judge, save_report

POOLED = "all slides"


@dataclass(frozen=True)
class JudgedSlide:
    """The predictions of one slide beside the truth.

    Attributes:
        slide_id: name of the slide.
        labels: (n,) bool, of any class by the recipe's rule.
        probabilities: (n,) float32.
    """

    slide_id: str
    labels: NDArray[np.bool_]
    probabilities: NDArray[np.float32]


def judged_slides(predictions: Store, entries: Sequence[SlideEntry], recipe: Recipe) -> Iterator[JudgedSlide]:
    """Label the predictions of every slide whose truth is known.

    Args:
        predictions: output folder of `infer`.
        entries: slides; those without predictions or without known truth are passed over.
        recipe: from `prediction_recipe`.

    Yields:
        One slide at a time. Memory: its predictions, and a block of its annotation.
    """
    tiling = recipe.tiling
    for entry in entries:
        folder = f"{PREDICTIONS}/slide_id={entry.slide_id}"
        if not predictions.exists(folder):
            continue
        info = read_info(entry.path)
        mpp, _ = slide_mpp(info, entry.mpp, tiling)
        downsample = resolve_scales(info, mpp, tiling)[0].downsample
        with open_truth(entry, info, downsample, tiling.labels) as truth:
            if truth is None:
                continue
            xy, probabilities = read_predictions(predictions, folder)
            origins = np.rint(xy / downsample).astype(np.int32)
            yield JudgedSlide(entry.slide_id, _labels(truth, origins, recipe), probabilities)


def _labels(truth: Truth, origins: NDArray[np.int32], recipe: Recipe) -> NDArray[np.bool_]:
    labels = np.zeros(len(origins), bool)
    block_of, members = np.unique(origins // recipe.tiling.block, axis=0, return_inverse=True)
    for block in range(len(block_of)):
        mine = np.flatnonzero(members.ravel() == block)
        labels[mine] = label_windows(truth, origins[mine], recipe.tiling).label > 0
    return labels


def saved_recipe(predictions: Store) -> Recipe:
    """The recipe that `infer` left in its output folder, on whatever file system.

    Raises:
        UsageError: no predictions there.
    """
    if not (predictions.exists("model.json") and predictions.exists("recipe.yaml")):
        raise UsageError(f"{predictions.uri} holds no predictions; give the --out folder of histospark infer")
    return Recipe.model_validate(yaml.safe_load(predictions.read_bytes("recipe.yaml")))


def evaluate_predictions(predictions: str, entries: Sequence[SlideEntry], out: Path) -> tuple[BinaryMetrics, str]:
    """Compare predictions with the truth and write `metrics.md`, `metrics.json` and `roc.png`.

    The threshold is the one that training chose on its validation slides.

    Args:
        predictions: output folder of `infer`, with its `recipe.yaml` and `model.json`.
        entries: of the inventory.
        out: folder for the report.

    Returns:
        The metrics over all slides, and the table as Markdown.

    Raises:
        UsageError: no predictions there, or no slide with both classes.
    """
    store = Store(predictions)
    recipe = prediction_recipe(saved_recipe(store))
    threshold = ModelCard.model_validate_json(store.read_bytes("model.json")).metrics["validation"].threshold
    slides = list(judged_slides(store, entries, recipe))
    labels = np.concatenate([slide.labels for slide in slides] or [np.zeros(0, bool)])
    if labels.all() or not labels.any():
        raise UsageError("the predicted slides do not show both classes; give slides with annotations beside them")
    pooled = judge(labels, np.concatenate([slide.probabilities for slide in slides]), threshold)
    single = {
        slide.slide_id: judge(slide.labels, slide.probabilities, threshold)
        for slide in slides
        if slide.labels.any() and not slide.labels.all()
    }
    out.mkdir(parents=True, exist_ok=True)
    title = f"{recipe.name}: windows of {len(slides)} slides"
    return pooled.metrics, save_report(out, title, {POOLED: pooled, **single})


@click.command()
@click.option("--predictions", required=True, help="Output folder of infer (URI).")
@click.option("--slides", required=True, help="Folder, glob, slide, or manifest, with the annotations beside.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the report.")
def evaluate(predictions: str, slides: str, out: Path) -> ExitCode:
    """Compare predictions with annotations: metric table and ROC curve in OUT."""
    recipe = saved_recipe(Store(predictions))
    _, table = evaluate_predictions(predictions, inventory(slides, recipe.tiling, recipe.seed), out)
    click.echo(table)
    return ExitCode.GOOD
