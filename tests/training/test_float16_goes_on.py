"""A training in float16 that broke off goes on with its scale of the loss, and ends as if nothing had happened."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.training.tiny_core import tiny_core
from tests.training.tiny_table import WINDOW, WrittenTable, tiny_recipe
from training.fit import MODEL_FILE, fit
from training.models import training_model
from training.precision import plain_twin
from training.strategy import mirrored
from training.stream import Shuffle, SplitStream
from training.table import open_table

TOO_LARGE = 2.0**40
STAGE = {"epochs": 2, "optimizer": {"name": "sgd"}, "rate": {"kind": "one_cycle", "peak": 0.05}, "clip_norm": 1}


class PowerCutError(Exception):
    pass


class Cut(keras.callbacks.Callback):
    """Scales too far after the second step, and breaks off after the given one; counted over this run."""

    def __init__(self, scaled_at: int, cut_at: int) -> None:
        super().__init__()
        self.steps = 0
        self.scaled_at = scaled_at
        self.cut_at = cut_at

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.steps += 1
        if self.steps == self.scaled_at:
            self.model.optimizer.dynamic_scale.assign(TOO_LARGE)
        if self.steps == self.cut_at:
            raise PowerCutError


def number(variable: keras.Variable) -> float:
    return float(keras.ops.convert_to_numpy(variable))


def run(table: WrittenTable, out: Path, cut: Cut) -> tuple[keras.Model, keras.Model]:
    out.mkdir(exist_ok=True)
    recipe = tiny_recipe(precision="float16", stages=[STAGE], checkpoint_minutes=0)
    keras.utils.set_random_seed(1)
    with mirrored(1, recipe.training.batch_size).scope():
        core = tiny_core(precision="float16")
        model = training_model(core, recipe)
    opened, size = open_table(table.uri), recipe.training.batch_size
    train = SplitStream(opened, "train", WINDOW, size, shuffle=Shuffle(recipe.seed, 32))
    validation = SplitStream(opened, "validation", WINDOW, size)
    fit(model, core, train, validation, recipe.training, out, plain_twin(core), [cut])
    return core, model


def test_scale_and_weights_are_those_of_an_undisturbed_training(written: WrittenTable, tmp_path: Path) -> None:
    whole, undisturbed = run(written, tmp_path / "whole", Cut(2, 0))
    with pytest.raises(PowerCutError):
        run(written, tmp_path / "cut", Cut(2, 4))
    core, resumed = run(written, tmp_path / "cut", Cut(0, 0))
    scale, steps = (number(value) for value in (resumed.optimizer.dynamic_scale, resumed.optimizer.iterations))
    assert scale == number(undisturbed.optimizer.dynamic_scale) < TOO_LARGE
    assert steps == number(undisturbed.optimizer.iterations) < 12  # some were skipped
    for one, other in zip(core.get_weights(), whole.get_weights(), strict=True):
        assert np.allclose(one, other, rtol=1e-3, atol=1e-5)
    kept = keras.saving.load_model(tmp_path / "cut" / MODEL_FILE, compile=False, safe_mode=True)
    assert kept.get_layer("tower_0").get_layer("c1").compute_dtype == "float32"
