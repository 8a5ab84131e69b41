"""`histospark mine`: the false positives of a run become hard negatives of the next training, as in deep-histopath."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click
from numpy.typing import NDArray

from cluster.errors import ExitCode, UsageError
from cluster.storage import Store
from cluster.words import counted
from inference.points.judged import judged_points
from inference.points.matching import Kind
from inference.points.scores import JudgedPoints
from inference.points.truth import true_points
from inference.report_parts import csv_text, exit_code_of
from inference.run_folder import find_run, saved_recipe
from inference.run_output import LeftOut, run_to_judge
from preprocessing.inventory import SlideEntry, inventory
from preprocessing.recipe import Recipe
from preprocessing.tiling_settings import Labels

HARD_NEGATIVE: Final = "hard_negative"
"""Group of the mined points; a recipe that cuts them has it among `tiling.labels.excluded`."""
MANIFEST: Final = "manifest.csv"

_COLUMNS: Final = ("slide_id", "path", "annotation", "patient_id", "split", "label", "mpp", "stratum")


@dataclass(frozen=True)
class Mined:
    """What was written.

    Attributes:
        slides: how many the manifest names.
        points: marked ones on them.
        negatives: false positives among the detections on those of the training split.
        left_out: slides that the manifest does not name.
    """

    slides: int
    points: int
    negatives: int
    left_out: tuple[LeftOut, ...]


def mine_run(predictions: str, entries: Sequence[SlideEntry], out: str) -> Mined:
    """Write the points of each slide with the false positives of the training slides among them, and a manifest.

    Slides of other splits get their own points only: what they are judged by does not follow a model.

    Args:
        predictions: a run folder of `infer`.
        entries: of the inventory.
        out: URI of the folder for `SLIDE_ID.geojson` and `manifest.csv`.

    Returns:
        What was written. Memory: see `judged_points`.

    Raises:
        UsageError: no run there, no slide of it to judge, or a run of a recipe without points.
    """
    store, target = Store(predictions), Store(out)
    recipe = saved_recipe(store)
    if recipe.tiling.placement.kind != "points":
        raise UsageError(
            f"the recipe of {predictions} has tiling.placement.kind {recipe.tiling.placement.kind}; hard negatives are "
            "mined where points are marked"
        )
    _, run = run_to_judge(store, entries)
    slides, left_out = judged_points(run, recipe)
    entry_of = {entry.slide_id: entry for entry in entries}
    rows, negatives = [], 0
    for slide in sorted(slides, key=lambda it: it.slide_id):
        entry = entry_of[slide.slide_id]
        false = slide.detections.xy[slide.matched.kinds == Kind.FALSE]
        mined = false if entry.split == "train" else false[:0]
        negatives += len(mined)
        name = f"{slide.slide_id}.geojson"
        target.write_bytes(_geojson(entry, slide, mined, recipe), name)
        rows.append(_row(entry, name))
    target.write_bytes(csv_text(_COLUMNS, rows).encode(), MANIFEST)
    return Mined(len(rows), sum(len(slide.points) for slide in slides), negatives, tuple(left_out))


def _row(entry: SlideEntry, annotation: str) -> tuple[object, ...]:
    return (
        entry.slide_id,
        entry.path,
        annotation,
        entry.patient_id,
        entry.split,
        entry.word,
        entry.mpp,
        entry.stratum,
    )


def _geojson(entry: SlideEntry, slide: JudgedPoints, mined: NDArray[Any], recipe: Recipe) -> bytes:
    """The points of a slide as QuPath has them: one annotation a class."""
    truth = true_points(entry, recipe.tiling)
    known = [] if truth is None else truth.hard_negatives.tolist()
    groups = {
        _group(recipe.tiling.labels, label): slide.points[slide.labels == label].tolist()
        for label in sorted(set(slide.labels.tolist()))
    }
    groups[HARD_NEGATIVE] = known + mined.tolist()
    features = [_feature(group, points) for group, points in groups.items() if points]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def _group(labels: Labels, label: int) -> str:
    """The first group of a class: the recipe knows the class by it."""
    name, groups = list(labels.classes.items())[label - 1]
    return groups[0] if groups else name


def _feature(group: str, points: Iterable[Sequence[float]]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "MultiPoint", "coordinates": list(points)},
        "properties": {"objectType": "annotation", "name": group, "classification": {"name": group}},
    }


@click.command()
@click.option("--predictions", required=True, help="Output folder of infer (URI).")
@click.option("--slides", required=True, help="Folder, glob, slide, or manifest, with the points beside.")
@click.option("--out", required=True, help="Folder for annotations and manifest (URI).")
@click.option("--model-id", default=None, help="Which model's results, where PREDICTIONS holds those of several.")
def mine(predictions: str, slides: str, out: str, model_id: str | None) -> ExitCode:
    """Make hard negatives of the false positives of a run: annotations and a manifest for tile in OUT."""
    run = find_run(predictions, model_id)
    recipe = saved_recipe(Store(run))
    found = mine_run(run, inventory(slides, recipe.tiling, recipe.seed), out)
    for it in found.left_out:
        click.echo(f"left out  {it.slide_id}: {it.reason}", err=True)
    click.echo(
        f"{counted(found.slides, 'slide')} with {counted(found.points, 'point')} and "
        f"{counted(found.negatives, 'hard negative')} in {Store(out).uri}/{MANIFEST}; cut them by histospark tile with "
        f"{HARD_NEGATIVE} in tiling.labels.excluded"
    )
    return exit_code_of(found.left_out)
