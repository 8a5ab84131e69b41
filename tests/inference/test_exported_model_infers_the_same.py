"""Workers compute with the exported form where there is one, and with no other than the card describes."""

import logging
from pathlib import Path

import keras
import numpy as np
import pytest
from pyspark.sql import SparkSession

from cluster.errors import UsageError
from inference.job import engine_files
from preprocessing.recipe import Recipe
from tests.inference.color_model import save_with_card
from tests.inference.conftest import GOOD, Run
from tests.inference.tables import predictions_of
from training.card import load_card
from training.export import export_model


@pytest.fixture
def exported(tiny_model: keras.Model, sparse: Recipe, tmp_path: Path) -> Path:
    """`model.keras` with its card, and its exported form beside it."""
    model = save_with_card(tiny_model, tmp_path / "model", sparse)
    probe = {name: np.full((16, 80, 80, 3), 150, np.float32) for name in ("scale_0", "scale_1")}
    form = export_model(tiny_model, model.parent, [probe])
    load_card(model).model_copy(update={"exported": form}).save(model)
    return model


def test_predictions_are_those_of_keras(spark: SparkSession, finished: Run, exported: Path, tmp_path: Path) -> None:
    assert [file.name for file in engine_files(exported, load_card(exported))] == ["model.xml", "model.bin"]
    run = Run(finished.slides, tmp_path / "out", exported, finished.recipe, finished.summary)
    assert run.again(spark, finished.slides, run.out).done == finished.summary.done
    for slide in GOOD:
        ours, keras_s = predictions_of(run.out, slide), predictions_of(finished.out, slide)
        assert len(ours) > 20
        assert ours[["x", "y"]].equals(keras_s[["x", "y"]])
        np.testing.assert_allclose(ours["probability"], keras_s["probability"], rtol=0, atol=1e-5)


def test_files_of_another_training_are_refused(exported: Path) -> None:
    numbers = exported.with_name("model.bin")
    numbers.write_bytes(numbers.read_bytes()[::-1])
    with pytest.raises(UsageError, match=r"model\.xml is not the exported form"):
        engine_files(exported, load_card(exported))


def test_without_its_files_keras_computes_and_says_so(exported: Path, caplog: pytest.LogCaptureFixture) -> None:
    exported.with_name("model.bin").unlink()
    with caplog.at_level(logging.WARNING, "histospark"):
        assert engine_files(exported, load_card(exported)) == (exported,)
    assert "Keras computes, which is slower" in caplog.text
