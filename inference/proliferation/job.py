"""How many mitoses a run found where, and the grade of each slide by that.

Runs as `histospark proliferation` and as `spark-submit inference/proliferation/job.py`.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from cluster.entry import run_command
from cluster.errors import ExitCode, UsageError
from cluster.session import spark_session
from cluster.storage import Store
from cluster.words import counted
from inference.proliferation.classifier import graded_slides
from inference.proliferation.findings import Graded, proliferation_report
from inference.proliferation.regions import FEATURES, region_counts, slide_features
from inference.report_parts import Report
from inference.run_folder import find_run, saved_recipe
from inference.run_output import LeftOut, RunOutput, run_to_judge
from preprocessing import ledger
from preprocessing.inventory import SlideEntry, inventory
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe

REGION: Final = 3000.0
"""Side of a region, micrometers: 6,000 px at 20x, as published."""
FILE: Final = "features.parquet"

_SCHEMA: Final = pa.schema(
    [
        ("slide_id", pa.string()),
        ("split", pa.string()),
        ("label", pa.int32()),
        ("judged", pa.int32()),
        ("regions", pa.int64()),
        *((name, pa.float64()) for name in FEATURES),
    ]
)


@dataclass(frozen=True, eq=False)
class Proliferation:
    """The graded slides of a run.

    Attributes:
        features: a row a slide, of the columns of `features.parquet`, by name.
        report: what they are worth.
    """

    features: pa.Table
    report: Report


def grade_run(
    spark: SparkSession, predictions: str, entries: Sequence[SlideEntry], recipe: Recipe, region: float = REGION
) -> Proliferation:
    """Grade the slides of a run by its lesions.

    The classifier is fitted on the labeled slides of the training and validation splits, and judged on those of `test`.
    Nothing of it is kept: with the same features and labels it comes out the same.

    Args:
        spark: the session.
        predictions: a run folder of `infer`, of a model that finds mitoses.
        entries: of the inventory, with labels.
        recipe: whose ordered classes the labels are, and whose seed draws the folds.
        region: side of a region, micrometers.

    Returns:
        Memory of the driver: what `read_run` reads; regions are counted on the workers.

    Raises:
        UsageError: no run there, no slide of it, labels that are no grades, or too few to fit.
    """
    if not recipe.tiling.labels.ordered:
        raise UsageError(
            f"the recipe {recipe.name} has no grades: give one by --conf whose tiling.labels has source slide and "
            "ordered true, as conf/tupac16.yaml"
        )
    store = Store(predictions)
    _, run = run_to_judge(store, entries)
    sizes = ledger.latest(store, "infer").set_index("slide_id").loc[:, ["width", "height", "mpp"]]
    known, left_out = _measurable(run, sizes)
    features = _features(spark, known, sizes, region)
    split = np.array([it.split for it in known.entries])
    truth = np.array([-1 if it.label is None else it.label for it in known.entries], np.int64)
    classes = recipe.classes
    graded = graded_slides(
        features[list(FEATURES)].to_numpy(), truth, (truth >= 0) & (split != "test"), len(classes), recipe.seed
    )
    title = f"{recipe.name}: {counted(len(truth), 'slide')} by the lesions of {predictions}"
    columns = {"split": split, "label": [it.label for it in known.entries], "judged": graded.grades}
    table = pa.table({name: columns.get(name, features.get(name)) for name in _SCHEMA.names}, _SCHEMA)
    judged = Graded(list(features["slide_id"]), split, truth, graded)
    return Proliferation(table, proliferation_report(judged, left_out, classes, recipe.seed, title))


@dataclass(frozen=True, eq=False)
class _Known:
    """Slides whose size is known, by name, and their lesions."""

    entries: tuple[SlideEntry, ...]
    lesions: pa.Table


def _measurable(run: RunOutput, sizes: pd.DataFrame) -> tuple[_Known, tuple[LeftOut, ...]]:
    outputs = sorted(run.done, key=lambda it: it.entry.slide_id)
    fits = [bool(sizes.loc[it.entry.slide_id].notna().all()) for it in outputs]
    without = [it.entry.slide_id for it, fit in zip(outputs, fits, strict=True) if not fit]
    good = [it for it, fit in zip(outputs, fits, strict=True) if fit]
    reason = (
        "nothing says its mpp, so its regions cannot be measured; add a column mpp to the manifest and infer it again"
    )
    left_out = (*run.left_out, *(LeftOut(slide_id, "no mpp", reason) for slide_id in without))
    xy = np.concatenate([it.detections.xy for it in good] or [np.zeros((0, 2))])
    names = np.repeat([it.entry.slide_id for it in good], [len(it.detections.scores) for it in good])
    lesions = pa.table({"slide_id": pa.array(names, pa.string()), "x": xy[:, 0], "y": xy[:, 1]})
    return _Known(tuple(it.entry for it in good), lesions), tuple(sorted(left_out, key=lambda it: it.slide_id))


def _features(spark: SparkSession, known: _Known, sizes: pd.DataFrame, region: float) -> pd.DataFrame:
    """By name: `slide_id`, `regions`, and the features."""
    names = [it.slide_id for it in known.entries]
    measured: dict[str, NDArray[Any]] = {name: sizes.loc[names, name].to_numpy(np.float64) for name in sizes.columns}
    slides = spark.createDataFrame(pa.table({"slide_id": pa.array(names, pa.string()), **measured}))
    regions = region_counts(slides, spark.createDataFrame(known.lesions), region)
    return slide_features(regions).toPandas().set_index("slide_id").loc[names].reset_index()


@click.command()
@click.option("--predictions", required=True, help="Output folder of infer (URI), of a model that finds mitoses.")
@click.option("--slides", required=True, help="Manifest with the grades of the slides as labels.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for features, grades and report.")
@click.option("--conf", default=None, help="Recipe that knows the labels and the splits; default: the run's own.")
@click.option(
    "--region",
    type=click.FloatRange(0, min_open=True),
    default=REGION,
    show_default=True,
    help="Side of the regions in which mitoses are counted, micrometers.",
)
@click.option("--model-id", default=None, help="Which model's results, where PREDICTIONS holds those of several.")
@click.option("--master", default=None, help="Spark master; default: all local cores.")
def proliferation(
    predictions: str,
    slides: str,
    out: Path,
    conf: str | None,
    region: float,
    model_id: str | None,
    master: str | None,
) -> ExitCode:
    """Grade slides by the mitoses that a run found on them: features and grades in OUT."""
    run = find_run(predictions, model_id)
    recipe = saved_recipe(Store(run)) if conf is None else load_recipe(conf, ())
    entries = inventory(slides, recipe.tiling, recipe.seed)
    with spark_session("proliferation", master) as spark:
        found = grade_run(spark, run, entries, recipe, region)
    click.echo(found.report.save(out))
    with (out / FILE).open("wb") as file:
        pq.write_table(found.features, file)
    return found.report.exit_code


if __name__ == "__main__":
    sys.exit(run_command(proliferation))
