"""The head against its formula in NumPy: pooling, hidden layers, dropout, and patches scaled before a tower."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from cluster.errors import UsageError
from preprocessing.recipe import Training
from tests.conftest import ROOT
from training.grad_cam import grad_cam
from training.models import core_model

WINDOW = 40


def settings(**others: object) -> Training:
    return Training.model_validate({"weights": "none", "backbone": "mobilenet_v3_small", **others})


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.float32]:
    return np.random.default_rng(2).integers(0, 256, (6, WINDOW, WINDOW, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def fastai() -> keras.Model:
    """A core with fastai's head, whose batch norms have seen something."""
    keras.utils.set_random_seed(4)
    core = core_model(1, WINDOW, settings(pooling="average_and_maximum", hidden=[5], dropout=0.5))
    rng = np.random.default_rng(5)
    for name in ("hidden_0_norm", "last_norm"):
        layer = core.get_layer(name)
        layer.set_weights([rng.uniform(0.5, 2, value.shape) for value in layer.get_weights()])
    return core


def features_of(core: keras.Model, pixels: NDArray[np.float32]) -> NDArray[np.float64]:
    tower = core.get_layer("tower_0")
    return np.asarray(tower.predict_on_batch(pixels / np.float32(127.5) - 1), np.float64)


def normalized(core: keras.Model, name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    layer = core.get_layer(name)
    gamma, beta, mean, variance = (value.astype(np.float64) for value in layer.get_weights())
    return (values - mean) / np.sqrt(variance + layer.epsilon) * gamma + beta


def logit(core: keras.Model, features: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel, bias = core.get_layer("hidden_0").get_weights()
    hidden = np.maximum(normalized(core, "hidden_0_norm", features) @ kernel + bias, 0)
    kernel, bias = core.get_layer("tumor_probability").get_weights()
    return (normalized(core, "last_norm", hidden) @ kernel + bias)[:, 0]


def test_a_tower_may_tell_mean_and_maximum_of_its_map(fastai: keras.Model, pixels: NDArray[np.float32]) -> None:
    tower = fastai.get_layer("tower_0")
    last = keras.Model(tower.inputs, tower.get_layer("mean_of_map").input)
    found = np.asarray(last.predict_on_batch(pixels / np.float32(127.5) - 1))
    expected = np.concatenate([found.mean((1, 2)), found.max((1, 2))], axis=1)
    np.testing.assert_allclose(features_of(fastai, pixels), expected, rtol=1e-5, atol=1e-6)


def test_hidden_layers_follow_batch_norm_and_answer_by_the_formula(
    fastai: keras.Model, pixels: NDArray[np.float32]
) -> None:
    found = fastai.predict_on_batch({"scale_0": pixels})[:, 0]
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logit(fastai, features_of(fastai, pixels)))), rtol=1e-4)


def test_half_the_dropout_comes_before_hidden_layers_and_a_plain_head_has_its_own(fastai: keras.Model) -> None:
    assert (fastai.get_layer("hidden_0_dropout").rate, fastai.get_layer("last_dropout").rate) == (0.25, 0.5)
    names = [layer.name for layer in fastai.layers]
    order = ["hidden_0_norm", "hidden_0_dropout", "hidden_0", "last_norm", "last_dropout", "tumor_probability"]
    assert names[-len(order) :] == order
    plain = core_model(1, WINDOW, settings(dropout=0.5))
    assert [layer.name for layer in plain.layers][-2:] == ["last_dropout", "tumor_probability"]


def test_heatmaps_follow_the_score_through_hidden_layers(pixels: NDArray[np.float32]) -> None:
    """The gradient of the score by finite differences of the formula, spread over the places of the map."""
    keras.utils.set_random_seed(6)
    core = core_model(1, WINDOW, settings(hidden=[5], dropout=0.5))
    (found,) = grad_cam(core, [pixels.astype(np.uint8)], np.ones(len(pixels), np.int64))
    tower = core.get_layer("tower_0")
    maps = keras.Model(tower.inputs, [tower.get_layer(found.layer).output, tower.outputs[0]])
    # From the map on, by Keras; from the features on, by the formula: the chain rule joins the two.
    with tf.GradientTape() as tape:
        seen, features = maps([pixels / np.float32(127.5) - 1], training=False)
        steps = 1e-3 * np.eye(features.shape[1])
        values = np.asarray(features, np.float64)
        slopes = np.stack([(logit(core, values + one) - logit(core, values - one)) / 2e-3 for one in steps], axis=1)
        score = tf.reduce_sum(features * slopes.astype(np.float32))
    weights = np.asarray(tape.gradient(score, seen)).mean((1, 2), keepdims=True)
    expected = np.maximum((weights * np.asarray(seen)).sum(-1), 0)
    np.testing.assert_allclose(found.heatmaps, expected, rtol=1e-2, atol=1e-5 * max(expected.max(), 1))
    assert expected.max() > 0


def test_patches_are_scaled_bilinearly_before_a_tower_sees_them(pixels: NDArray[np.float32]) -> None:
    scaled = core_model(1, WINDOW, settings(input_side=60))
    plain = core_model(1, 60, settings())
    plain.set_weights(scaled.get_weights())
    found = scaled.predict_on_batch({"scale_0": pixels})
    np.testing.assert_allclose(found, plain.predict_on_batch({"scale_0": enlarged(pixels, 60)}), rtol=1e-4, atol=1e-6)


def test_scaled_patches_and_hidden_layers_are_exported_as_they_are(tmp_path: Path) -> None:
    """In a process of its own: OpenVINO must not be loaded before the export."""
    code = (
        "import keras, numpy as np; from pathlib import Path; from preprocessing.recipe import Training; "
        "from training.models import core_model; from training.export import export_model; "
        "core = core_model(1, 40, Training.model_validate({'weights': 'none', 'backbone': 'resnet50', "
        "'input_side': 64, 'pooling': 'average_and_maximum', 'hidden': [5], 'dropout': 0.5})); "
        f"core.save('{tmp_path}/model.keras'); "
        f"core = keras.saving.load_model('{tmp_path}/model.keras', safe_mode=True); "
        "images = np.random.default_rng(0).integers(0, 256, (8, 40, 40, 3)).astype(np.uint8); "
        f"card = export_model(core, Path('{tmp_path}'), [{{'scale_0': images}}]); print(card.largest_difference)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert said.returncode == 0, said.stderr[-3000:]
    assert float(said.stdout.split()[-1]) < 1e-4
    assert (tmp_path / "model.xml").exists()


def enlarged(images: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Bilinear, pixel centers on pixel centers, edges repeated."""
    place = np.clip((np.arange(side) + 0.5) * images.shape[1] / side - 0.5, 0, images.shape[1] - 1)
    low = np.floor(place).astype(int)
    high, share = np.minimum(low + 1, images.shape[1] - 1), (place - low).astype(np.float32)
    rows = images[:, low] * (1 - share)[:, None, None] + images[:, high] * share[:, None, None]
    return rows[:, :, low] * (1 - share)[:, None] + rows[:, :, high] * share[:, None]


def test_an_input_side_too_small_is_told_by_its_key() -> None:
    with pytest.raises(UsageError, match=r"training\.input_side is 60 px, Inception V3 needs at least 75: raise it"):
        core_model(1, 90, settings(backbone="inception_v3", input_side=60))
