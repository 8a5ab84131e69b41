"""`histospark train` with three classes, a margin and drawn rows, noted on MLflow; and `--find-lr`."""

import json
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from mlflow import MlflowClient

from preprocessing.recipe import Recipe
from tests.training.tiny_table import WINDOW, WrittenTable, tiny_recipe, write_table
from training.card import load_card
from training.exported import onnx_session
from training.job import train
from training.tracking import RUN_FILE

MARGIN = 8
SMALL = {"backbone": "small_resnet", "share_towers": True, "batch_norm_momentum": 0.5}
SLIDES = {
    ("train", "a_01"): {0: 30, 1: 20},
    ("train", "a_02"): {0: 30, 2: 14},
    ("validation", "b_01"): {0: 15, 1: 12, 2: 10},
}


def three_classes(**training: object) -> Recipe:
    settings = tiny_recipe(**SMALL).model_dump(mode="json")
    settings["training"] |= training
    classes = {"benign": ["benign"], "malignant": ["malignant"]}
    settings["tiling"] |= {"window": WINDOW - 2 * MARGIN, "margin": MARGIN, "labels": {"classes": classes}}
    return Recipe.model_validate(settings)


def command(recipe: Recipe, table: WrittenTable, folder: Path, *more: str) -> str:
    conf = folder / "recipe.yaml"
    conf.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    result = CliRunner().invoke(
        train, ["--conf", str(conf), "--patches", table.uri, "--out", str(folder / "out"), *more]
    )
    if result.exception is not None:
        raise result.exception
    return result.output


def test_three_classes_with_margin_drawn_rows_and_weights_noted_on_mlflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = (tmp_path / "store").as_uri()
    recipe = three_classes(
        stages=[{"epochs": 2, "rate": {"kind": "constant", "value": 1e-3}}],
        sampling={"kind": "class_then_slide", "rows": 64},
        class_weights=[1, 2, 2],
        augmentation={"jitter": MARGIN},
        precision="bfloat16",
        exports=["openvino", "onnx"],
    )
    command(recipe, write_table(tmp_path / "run", recipe, SLIDES), tmp_path, "--mlflow", store)
    out = tmp_path / "out"

    core = keras.saving.load_model(out / "model.keras", compile=False, safe_mode=True)
    side = WINDOW - 2 * MARGIN
    answer = core.predict_on_batch({name: np.zeros((2, side, side, 3), np.uint8) for name in ("scale_0", "scale_1")})
    assert answer.shape == (2, 3)
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)

    card = load_card(out / "model.keras")
    judged = card.class_metrics["validation"]
    assert judged.classes == ("normal", "benign", "malignant")
    assert np.sum(judged.confusion, axis=1).tolist() == [15, 12, 10]
    assert card.exported is not None
    assert card.onnx is not None
    asked = {name: np.zeros((2, side, side, 3), np.float32) for name in ("scale_0", "scale_1")}
    np.testing.assert_allclose(onnx_session(out / card.onnx.file).run(None, asked)[0], answer, atol=1e-3)
    told = json.loads((out / "metrics.json").read_text())
    assert told["validation"]["accuracy"] == judged.accuracy

    run = MlflowClient(store).get_run((out / RUN_FILE).read_text().strip())
    assert run.info.status == "FINISHED"
    assert run.data.metrics["report_validation_accuracy"] == judged.accuracy
    steps = [point.step for point in MlflowClient(store).get_metric_history(run.info.run_id, "val_auc")]
    assert steps == [1, 2]


def test_find_lr_draws_suggests_and_trains_nothing(tmp_path: Path) -> None:
    recipe = tiny_recipe(**SMALL, stages=[{"rate": {"kind": "one_cycle", "peak": 1e-3}}])
    slides: Mapping[tuple[str, str], Mapping[int | None, int]] = {
        ("train", "a"): {0: 40, 1: 40}, ("validation", "b"): {0: 8, 1: 8},
    }  # fmt: skip
    printed = command(recipe, write_table(tmp_path / "run", recipe, slides), tmp_path, "--find-lr")
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["find_rate.csv", "find_rate.png"]
    assert "training.stages" in printed
    assert str(out / "find_rate.png") in printed
