"""`train` on a small table: the loss falls, and the folder holds a model with its report and its card."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result

from cluster.errors import JobError, UsageError
from cluster.lock import output_lock
from cluster.storage import Store
from preprocessing.recipe import Recipe
from preprocessing.training_settings import Constant, Stage
from tests.training.tiny_table import SLIDES, WINDOW, WrittenTable, patch_image, tiny_recipe, write_table
from training import job
from training.callbacks import KeepBest, StopAtNan
from training.card import load_card
from training.exported import compiled, files_hash
from training.job import train, writable_folder
from training.schedules import rate_schedule
from training.stages import legs
from training.stream import SplitStream
from training.table import open_table

STAGES = [{"epochs": 3, "rate": {"kind": "constant", "value": 1e-3}}]
SETTINGS = {
    "backbone": "small_resnet",  # the quickest
    "stages": STAGES,
    "batch_norm_momentum": 0.5,
    "augmentation": {"contrast": 0.1},
}


def command(recipe: Recipe, table: WrittenTable, out: Path, folder: Path, more: Sequence[str] = ()) -> Result:
    conf = folder / "recipe.yaml"
    conf.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    arguments = ["--conf", str(conf), "--patches", table.uri, "--out", str(out), *more]
    return CliRunner().invoke(train, arguments)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recipe, str]:
    """A training's folder, its recipe, and what it printed."""
    folder = tmp_path_factory.mktemp("end_to_end")
    recipe = tiny_recipe(**SETTINGS)
    table = write_table(folder / "run", recipe, {**SLIDES, ("test", "tumor_04"): {0: 9, 1: 8}})
    result = command(recipe, table, folder / "out", folder, ["--set", "training.shuffle_rows=64"])
    if result.exception is not None:
        raise result.exception
    return folder / "out", recipe, result.output


def test_one_line_per_epoch_and_a_falling_loss(trained: tuple[Path, Recipe, str]) -> None:
    _, _, printed = trained
    lines = [line for line in printed.splitlines() if line.startswith("epoch ")]
    form = (
        r"epoch (\d)/3: 6 steps, loss ([\d.]+), validation loss [\d.]+, validation AUC [\d.]+, \d+ patches/s, .* left"
    )
    found = [re.fullmatch(form, line) for line in lines]
    assert [match[1] for match in found if match] == ["1", "2", "3"]
    losses = [float(match[2]) for match in found if match]
    assert losses[2] < 0.8 * losses[0]


def test_the_folder_holds_everything(trained: tuple[Path, Recipe, str]) -> None:
    out, recipe, printed = trained
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {
        "model.keras",
        "model.json",
        "metrics.md",
        "metrics.json",
        "roc.png",
        "report.html",
        "model.xml",
        "model.bin",
        "recipe.yaml",
        "checkpoints/epochs_0003_batches_0000000.npz",
    } <= names
    assert not [name for name in names if ".partial" in name]
    assert any(name.startswith("logs/train/events") for name in names)
    assert yaml.safe_load((out / "recipe.yaml").read_text())["training"]["shuffle_rows"] == 64
    assert (out / "metrics.md").read_text() in printed
    assert recipe.training.shuffle_rows == 32


def test_the_card_tells_model_data_and_quality(trained: tuple[Path, Recipe, str]) -> None:
    out, recipe, _ = trained
    card = load_card(out / "model.keras")
    assert card.data.recipe_id == recipe.recipe_id == card.recipe.recipe_id
    assert card.recipe.training.shuffle_rows == 64
    assert card.data.rows["train"] == {"0": 51, "1": 42}
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics.keys() == card.metrics.keys() == {"validation", "test"}
    assert card.metrics["validation"].patches == 43
    assert card.metrics["test"].patches == 17
    assert card.metrics["test"].threshold == card.metrics["validation"].threshold


def test_the_exported_form_answers_as_the_model_does(trained: tuple[Path, Recipe, str]) -> None:
    out, _, _ = trained
    card = load_card(out / "model.keras").exported
    assert card is not None
    assert card.sha256 == files_hash(out / "model.xml")
    assert card.patches >= 43  # all of the validation split
    rng = np.random.default_rng(6)
    images = {
        f"scale_{k}": np.stack([patch_image(rng, row % 2) for row in range(16)]).astype(np.float32) for k in (0, 1)
    }
    core = keras.saving.load_model(out / "model.keras", compile=False, safe_mode=True)
    expected = core.predict_on_batch(images)
    assert np.ptp(expected) > 10 * card.tolerance
    np.testing.assert_allclose(compiled(out / card.file)(images)[0], expected, rtol=0, atol=card.tolerance)


def test_the_model_is_the_core_and_answers_by_the_scales(trained: tuple[Path, Recipe, str]) -> None:
    out, _, _ = trained
    model = keras.saving.load_model(out / "model.keras", compile=False, safe_mode=True)
    white = {name: np.full((3, 80, 80, 3), 255, np.float32) for name in ("scale_0", "scale_1")}
    probabilities = model.predict_on_batch(white)
    assert probabilities.shape == (3, 1)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_nothing_is_trained_where_the_output_cannot_be_written(written: WrittenTable, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with mock.patch.object(job, "fit") as fit:
        result = command(written.recipe, written, tmp_path / "file" / "out", tmp_path)
    assert isinstance(result.exception, UsageError)
    assert "cannot be written" in str(result.exception)
    fit.assert_not_called()
    with pytest.raises(UsageError, match="a model is written to a local folder"):
        writable_folder("s3://bucket/model")


def test_second_training_in_the_same_folder_is_refused(written: WrittenTable, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = output_lock(Store(str(writable_folder(str(out)))), "the first", "histospark train")
    with first, mock.patch.object(job, "fit") as fit:
        result = command(written.recipe, written, out, tmp_path)
    assert isinstance(result.exception, UsageError)
    assert str(result.exception).startswith(f"{out} is being written by histospark train of ")
    fit.assert_not_called()


def test_a_recipe_that_did_not_cut_the_patches_is_refused(written: WrittenTable, tmp_path: Path) -> None:
    result = command(written.recipe, written, tmp_path / "out", tmp_path, ["--set", "tiling.stride=40"])
    assert isinstance(result.exception, UsageError)
    assert "tiling.stride (50 there, 40 here)" in str(result.exception)
    assert not (tmp_path / "out").exists()


def small_model() -> keras.Model:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    return model


def test_a_loss_that_is_no_number_stops_the_training(written: WrittenTable) -> None:
    model = small_model()
    stream = SplitStream(open_table(written.uri), "train", WINDOW, 4)
    (leg,) = legs([Stage(rate=Constant(value=0.25))])
    watch = StopAtNan(leg, rate_schedule(leg.stage, 10, 4), stream)
    with pytest.raises(JobError, match=r"nan in stage 1 of 1 at step 1 \(epoch 1, batch 1\), rate 0\.25: lower"):
        model.fit(np.full((4, 2), np.nan), np.zeros((4, 1)), verbose=0, callbacks=[watch])


def test_the_best_epoch_is_kept_as_the_core_that_is_saved(tmp_path: Path) -> None:
    model, kept = small_model(), small_model()
    best = KeepBest(model, kept, tmp_path / "model.keras")
    for epoch, (auc, loss) in enumerate([(0.6, 0.1), (0.9, 0.5), (0.9, 0.5), (0.7, 0.2)]):
        model.set_weights([np.full((2, 1), epoch, np.float32), np.zeros(1, np.float32)])
        best.on_epoch_end(epoch, {"val_auc": auc, "val_cross_entropy": loss})
    saved = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert saved.get_weights()[0].tolist() == kept.get_weights()[0].tolist() == [[1.0], [1.0]]
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
