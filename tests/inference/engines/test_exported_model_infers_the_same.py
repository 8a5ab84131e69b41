"""Workers compute with the exported form that the recipe names or that is best, and with no other than the card's."""

import logging
import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from cluster.errors import UsageError
from inference.engines.base import EngineName
from inference.engines.forms import checked_forms
from inference.job import run_inference
from preprocessing.inventory import inventory
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from tests.conftest import ROOT, Command
from tests.inference.color_model import save_with_card
from tests.inference.conftest import GOOD, Run
from tests.inference.tables import predictions_of
from training.card import load_card


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    """A model with both forms, to be spoiled."""
    return Path(shutil.copytree(exported.parent, tmp_path / "model")) / exported.name


def with_inference(recipe: Recipe, **settings: object) -> Recipe:
    return recipe.model_copy(update={"inference": recipe.inference.model_copy(update=settings)})


@pytest.mark.parametrize(("engine", "label"), [("openvino", "openvino float32"), ("onnx", "onnx")])
def test_predictions_are_those_of_keras(
    spark: SparkSession, finished: Run, exported: Path, tmp_path: Path, engine: EngineName, label: str
) -> None:
    recipe = with_inference(finished.recipe, engine=engine, precision="float32" if engine == "openvino" else "auto")
    entries = inventory(str(finished.slides), recipe.tiling, recipe.seed)
    assert run_inference(spark, recipe, entries, exported, str(tmp_path / "out")).done == finished.summary.done
    for slide in GOOD:
        ours, keras_s = predictions_of(tmp_path / "out", slide), predictions_of(finished.out, slide)
        assert len(ours) > 20
        assert ours[["x", "y", "tissue_fraction"]].equals(keras_s[["x", "y", "tissue_fraction"]])
        np.testing.assert_allclose(ours["probability"], keras_s["probability"], rtol=0, atol=1e-5)
        (score,) = pd.read_parquet(tmp_path / "out" / "slide_scores" / f"{slide}.parquet").to_dict("records")
        assert score["engine"] == label


def test_files_of_another_training_are_refused(copied: Path, sparse: Recipe) -> None:
    numbers = copied.with_name("model.bin")
    numbers.write_bytes(numbers.read_bytes()[::-1])
    with pytest.raises(UsageError, match=r"model\.xml is not the exported form"):
        checked_forms(sparse.inference, copied, load_card(copied))


def test_without_its_files_keras_computes_and_says_so(
    copied: Path, sparse: Recipe, caplog: pytest.LogCaptureFixture
) -> None:
    card = load_card(copied)
    assert checked_forms(sparse.inference, copied, card).best_on_cpu() == "openvino"
    copied.with_name("model.bin").unlink()
    forms = checked_forms(sparse.inference, copied, card)
    with caplog.at_level(logging.WARNING, "histospark"):
        assert forms.best_on_cpu() == "keras"
    assert forms.of("keras") == (copied,)
    assert "Keras computes, which is slower" in caplog.text


@pytest.mark.parametrize(("engine", "file"), [("openvino", "model.bin"), ("onnx", "model.onnx")])
def test_an_engine_asked_by_name_needs_its_file(copied: Path, sparse: Recipe, engine: str, file: str) -> None:
    recipe, card = with_inference(sparse, engine=engine), load_card(copied)
    checked_forms(recipe.inference, copied, card)
    copied.with_name(file).unlink()
    with pytest.raises(UsageError, match=f"the engine {engine} reads .*training.exports"):
        checked_forms(recipe.inference, copied, card)


@pytest.mark.parametrize("engine", ["onnx", "keras"])
def test_bfloat16_is_asked_of_openvino_alone(exported: Path, sparse: Recipe, engine: str) -> None:
    recipe = with_inference(sparse, engine=engine, precision="bfloat16")
    with pytest.raises(UsageError, match="precision bfloat16 is OpenVINO's"):
        checked_forms(recipe.inference, exported, load_card(exported))


def test_a_missing_form_is_told_before_spark_starts(
    histospark: Command, drawn: Path, tiny_model: keras.Model, tmp_path: Path
) -> None:
    recipe = load_recipe(str(ROOT / "conf" / "demo.yaml"))
    model = save_with_card(tiny_model, tmp_path / "model", recipe)
    arguments = ["--conf", "conf/demo.yaml", "--slides", drawn, "--model", model, "--out", tmp_path / "out"]
    said = histospark("infer", *arguments, "--set", "inference.engine=onnx", JAVA_HOME="/nowhere")
    assert said.returncode == 2
    assert "the engine onnx reads model.onnx" in said.stderr
    assert not (tmp_path / "out").exists()
