"""The model: one named tower per scale, exactly the asked layers frozen, and a file that loads anywhere."""

from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest
from keras.layers import BatchNormalization

from cluster.errors import UsageError
from tests.training.tiny_table import WINDOW, tiny_recipe
from training.models import core_model, training_model

IMAGENET_FILE = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"


def images(count: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shape = (count, WINDOW, WINDOW, 3)
    return {f"scale_{scale}": rng.integers(0, 256, shape).astype(np.float32) for scale in (0, 1)}


def test_towers_are_named_unshared_and_frozen_up_to_the_asked_layer() -> None:
    settings = tiny_recipe(trainable_from=150, batch_norm_momentum=0.8).training
    core = core_model(2, WINDOW, settings)
    assert list(core.input) == ["scale_0", "scale_1"]
    assert core.output.shape == (None, 1)
    assert core.layers[-1].name == "tumor_probability"
    towers = [core.get_layer(name) for name in ("tower_0", "tower_1")]
    assert not {id(weight) for weight in towers[0].weights} & {id(weight) for weight in towers[1].weights}
    for tower in towers:
        assert [layer.trainable for layer in tower.layers] == [index >= 150 for index in range(len(tower.layers))]
        normal = [layer for layer in tower.layers if isinstance(layer, BatchNormalization)]
        assert len(normal) == 94
        assert {layer.momentum for layer in normal} == {0.8}


def test_frozen_batch_norm_is_frozen_everywhere_and_nothing_else_is() -> None:
    tower = core_model(1, WINDOW, tiny_recipe(freeze_batch_norm=True).training).get_layer("tower_0")
    assert all(layer.trainable != isinstance(layer, BatchNormalization) for layer in tower.layers)


def test_the_saved_core_loads_in_safe_mode_and_predicts_the_same(tmp_path: Path) -> None:
    recipe = tiny_recipe()
    core = core_model(2, WINDOW, recipe.training)
    model = training_model(core, recipe)
    assert {id(weight) for weight in core.trainable_weights} == {id(weight) for weight in model.trainable_weights}
    core.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    assert not any(type(layer).__module__.startswith("training") for layer in again.layers)
    expected = keras.ops.convert_to_numpy(core(images(), training=False))
    assert np.allclose(keras.ops.convert_to_numpy(again(images(), training=False)), expected, atol=1e-6)
    # Outside training the augmentation does nothing, so the training model says the same.
    assert np.allclose(keras.ops.convert_to_numpy(model(images(), training=False)), expected, atol=1e-6)


def test_a_weights_file_fills_every_tower(tmp_path: Path) -> None:
    shape = (WINDOW, WINDOW, 3)
    source = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=shape, pooling="avg")
    source.save_weights(tmp_path / "mine.weights.h5")
    core = core_model(2, WINDOW, tiny_recipe(weights=str(tmp_path / "mine.weights.h5")).training)
    for name in ("tower_0", "tower_1"):
        loaded = core.get_layer(name).get_weights()
        assert all(np.array_equal(one, other) for one, other in zip(loaded, source.get_weights(), strict=True))


def remedy_of(weights: str, window: int = WINDOW) -> str:
    with pytest.raises(UsageError) as caught:
        core_model(1, window, tiny_recipe(weights=weights).training)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_missing_wrong_and_unreachable_weights_name_the_remedy(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.weights.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]).save_weights(wrong)
    broken = tmp_path / "broken.weights.h5"
    broken.write_bytes(b"no HDF5")
    messages = [remedy_of(str(tmp_path / "absent.h5")), remedy_of(str(wrong)), remedy_of(str(broken))]
    failing = mock.patch("keras.utils.get_file", side_effect=Exception("URL fetch failure"))
    with failing:
        messages.append(remedy_of("imagenet"))
    for message in messages:
        assert IMAGENET_FILE in message
        assert "training.weights" in message


def test_a_window_too_small_for_inception() -> None:
    with pytest.raises(UsageError, match=r"tiling\.window is 64 px, Inception V3 needs at least 75"):
        core_model(1, 64, tiny_recipe().training)
