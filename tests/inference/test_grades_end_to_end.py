"""A model of three grades on painted slides: scores are mean expected grades over variants; evaluate compares them."""

import csv
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from cluster.entry import run_command
from cluster.errors import UsageError
from histospark.drawing.files import write_slide
from inference.engines.variants import Variant, Variants
from inference.evaluate import evaluate, report_on
from inference.job import run_inference
from preprocessing.inventory import inventory
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from tests.conftest import ROOT
from tests.inference.color_model import save_with_card

COLORS = {"s1": (200, 120, 160), "s2": (150, 120, 160), "s3": (100, 120, 160), "s4": (160, 120, 160)}
LABELS = {"s1": "1", "s2": "2", "s3": "3"}  # s4 has none
KERNEL = np.array([[0.02, 0, -0.02], [0, 0, 0], [0, 0, 0]], np.float32)
BIAS = np.array([-3, 0, 3], np.float32)
OVERRIDES = [
    "tiling.labels={source: slide, ordered: true, classes: {low: ['1'], middle: ['2'], high: ['3']}}",
    "inference.stride=80",
    "inference.slide_score=mean",
    "inference.variants=4",
]


def grading_model() -> keras.Model:
    """Looks at the mean color of scale 0 alone."""
    inputs = {f"scale_{k}": keras.Input((80, 80, 3), name=f"scale_{k}") for k in range(2)}
    last = keras.layers.Dense(3, activation="softmax")
    model = keras.Model(inputs, last(keras.layers.GlobalAveragePooling2D()(inputs["scale_0"])))
    last.set_weights([KERNEL, BIAS])
    return model


def expected_share(color: NDArray[np.float64]) -> float:
    odds = np.exp(color @ KERNEL + BIAS)
    return float(odds @ [0, 0.5, 1] / odds.sum())


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(str(ROOT / "conf" / "demo.yaml"), OVERRIDES)


@pytest.fixture(scope="module")
def graded(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> Path:
    """A folder with `slides.csv` and the run `out`."""
    folder = tmp_path_factory.mktemp("graded")
    for name, color in COLORS.items():
        write_slide(folder / f"{name}.tif", np.full((512, 512, 3), color, np.uint8))
    lines = [f"{name},{name}.tif,{LABELS.get(name, '')}\n" for name in COLORS]
    (folder / "slides.csv").write_text("slide_id,path,label\n" + "".join(lines))
    model = save_with_card(grading_model(), folder / "model", recipe)
    entries = inventory(str(folder / "slides.csv"), recipe.tiling, recipe.seed)
    assert run_inference(spark, recipe, entries, model, str(folder / "out")).done == 4
    return folder


def test_a_slide_scores_its_mean_expected_grade_over_the_variants(graded: Path, recipe: Recipe) -> None:
    shifts = [0.0, *(255 * it.brightness for it in Variants.of(recipe).forms() if isinstance(it, Variant))]
    assert len(set(shifts)) == 4
    for name, color in COLORS.items():
        score = pd.read_parquet(graded / "out" / "slide_scores" / f"{name}.parquet")["score"].item()
        wanted = [expected_share(np.clip(np.array(color) + shift, 0, 255)) for shift in shifts]
        assert score == pytest.approx(np.mean(wanted), abs=0.02)  # of a JPEG, whose color is a level off


def test_evaluate_compares_the_grades_with_the_manifest(
    graded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--predictions", str(graded / "out"), "--slides", str(graded / "slides.csv"), "--out", str(tmp_path)]
    assert run_command(evaluate, asked) == 0
    assert "| quadratic weighted kappa | 1.0000 |" in capsys.readouterr().out
    values = json.loads((tmp_path / "metrics.json").read_text())
    assert values["spearman"]["value"] == pytest.approx(1)
    assert values["left_out"]["s4"]["reason"] == "the manifest gives it no label"
    rows = {row["slide_id"]: row for row in csv.DictReader((tmp_path / "slides.csv").open())}
    assert {name: row["judged_class"] for name, row in rows.items()} == {"s1": "low", "s2": "middle", "s3": "high"}


def test_scores_of_other_classes_are_no_answer(graded: Path, tmp_path: Path, recipe: Recipe) -> None:
    """The run's recipe grades slides, its model tells tumor from normal."""
    out = shutil.copytree(graded / "out", tmp_path / "out")
    card = json.loads((out / "model.json").read_text())
    card["recipe"] = json.loads(load_recipe(str(ROOT / "conf" / "demo.yaml"), []).model_dump_json())
    (out / "model.json").write_text(json.dumps(card))
    entries = inventory(str(graded / "slides.csv"), recipe.tiling, recipe.seed)
    with pytest.raises(
        UsageError, match=r"tells normal, tumor apart, and the recipe of .* labels slides as low, middle"
    ):
        report_on(str(out), entries)
