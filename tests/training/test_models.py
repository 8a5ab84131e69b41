"""The model: one named tower per scale or one for all, batch norm as asked, and a file that loads anywhere."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras.layers import BatchNormalization

from cluster.errors import UsageError
from preprocessing.recipe import Training
from preprocessing.training_settings import Stage
from tests.training.tiny_table import WINDOW, tiny_recipe
from training.backbones import BACKBONES
from training.models import core_model, training_model
from training.stages import set_trainable

SMALL = 32
QUICK = "mobilenet_v3_small"


def settings(backbone: str = QUICK, **others: object) -> Training:
    return Training.model_validate({"weights": "none", "backbone": backbone, **others})


def images(window: int, count: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shape = (count, window, window, 3)
    return {f"scale_{scale}": rng.integers(0, 256, shape).astype(np.float32) for scale in (0, 1)}


def test_towers_are_named_and_unshared_with_the_asked_batch_norm() -> None:
    core = core_model(2, WINDOW, settings("inception_v3", batch_norm_momentum=0.8))
    assert list(core.input) == ["scale_0", "scale_1"]
    assert core.output.shape == (None, 1)
    assert core.layers[-1].name == "tumor_probability"
    towers = [core.get_layer(name) for name in ("tower_0", "tower_1")]
    assert not {id(weight) for weight in towers[0].weights} & {id(weight) for weight in towers[1].weights}
    for tower in towers:
        assert all(layer.trainable for layer in tower.layers)
        normal = [layer for layer in tower.layers if isinstance(layer, BatchNormalization)]
        assert len(normal) == 94
        assert {layer.momentum for layer in normal} == {0.8}


def test_frozen_batch_norm_is_frozen_everywhere_and_nothing_else_is() -> None:
    core = core_model(1, SMALL, settings())
    set_trainable(core, Stage(), freeze_batch_norm=True)
    tower = core.get_layer("tower_0")
    assert all(layer.trainable != isinstance(layer, BatchNormalization) for layer in tower.layers)


def test_shared_towers_are_one_with_equal_features_for_equal_images() -> None:
    apart = core_model(2, SMALL, settings())
    core = core_model(2, SMALL, settings(share_towers=True))
    tower = core.get_layer("tower_0")
    assert [layer.name for layer in core.layers if isinstance(layer, keras.Model)] == ["tower_0"]
    head = core.get_layer("tumor_probability").count_params()
    assert core.count_params() == tower.count_params() + head
    assert apart.count_params() == 2 * tower.count_params() + head
    features = keras.Model(core.input, core.get_layer("features").output)
    same = images(SMALL)["scale_0"]
    fine, coarse = np.split(keras.ops.convert_to_numpy(features({"scale_0": same, "scale_1": same})), 2, axis=1)
    assert np.array_equal(fine, coarse)
    assert fine.std() > 0


@pytest.mark.parametrize(
    ("backbone", "window", "share_towers"),
    [("inception_v3", WINDOW, False), ("resnet50", SMALL, False), ("resnet50", SMALL, True), (QUICK, 64, False)],
)
def test_the_saved_core_loads_in_safe_mode_and_predicts_the_same(
    backbone: str, window: int, share_towers: bool, tmp_path: Path
) -> None:
    core = core_model(2, window, settings(backbone, share_towers=share_towers))
    core.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    assert not any(type(layer).__module__.startswith("training") for layer in again.layers)
    assert [layer.name for layer in again.layers] == [layer.name for layer in core.layers]
    expected = keras.ops.convert_to_numpy(core(images(window), training=False))
    assert expected.shape == (2, 1)
    assert np.allclose(keras.ops.convert_to_numpy(again(images(window), training=False)), expected, atol=1e-6)


def test_the_training_model_is_the_core_after_an_augmentation_that_rests_outside_training() -> None:
    recipe = tiny_recipe(backbone=QUICK)
    core = core_model(2, SMALL, recipe.training)
    model = training_model(core, recipe)
    assert {id(weight) for weight in core.trainable_weights} == {id(weight) for weight in model.trainable_weights}
    outputs = [keras.ops.convert_to_numpy(one(images(SMALL), training=False)) for one in (core, model)]
    assert np.allclose(*outputs, atol=1e-6)


@pytest.mark.parametrize(
    ("backbone", "published"),
    [
        ("inception_v3", keras.applications.inception_v3.preprocess_input),
        ("resnet50", keras.applications.resnet.preprocess_input),
        # Its own one does nothing, as Keras scales within the network, to -1 ... 1.
        (QUICK, keras.applications.mobilenet_v2.preprocess_input),
    ],
)
def test_pixels_are_scaled_as_keras_does_for_the_backbone(backbone: str, published: object) -> None:
    pixels = keras.Input((SMALL, SMALL, 3))
    scaled = keras.Model(pixels, BACKBONES[backbone].scaled(pixels, "scaled"))
    image = images(SMALL)["scale_0"]
    expected = published(image.copy())  # type: ignore[operator]
    assert np.allclose(keras.ops.convert_to_numpy(scaled(image)), expected, atol=1e-4)


def test_mobilenet_with_our_scaling_is_mobilenet_with_its_own() -> None:
    arguments = {"include_top": False, "weights": None, "input_shape": (64, 64, 3), "pooling": "avg"}
    whole = keras.applications.MobileNetV3Small(**arguments)
    core = core_model(1, 64, settings())
    tower = core.get_layer("tower_0")
    tower.set_weights(whole.get_weights())
    image = images(64)["scale_0"]
    features = keras.Model(core.input, tower(core.get_layer("centered_scale_0").output))
    ours = keras.ops.convert_to_numpy(features({"scale_0": image}))
    assert np.allclose(ours, keras.ops.convert_to_numpy(whole(image)), atol=1e-5)


@pytest.mark.parametrize("backbone", ["inception_v3", "resnet50", QUICK])
def test_the_smallest_window_is_the_one_that_keras_allows(backbone: str) -> None:
    smallest = BACKBONES[backbone].smallest_window
    assert core_model(1, smallest, settings(backbone)).output.shape == (None, 1)
    with pytest.raises(ValueError, match=rf"at least {smallest}x{smallest}"):
        BACKBONES[backbone].build(input_shape=(smallest - 1, smallest - 1, 3))


def test_a_window_too_small_names_backbone_and_remedy() -> None:
    reason = (
        r"tiling\.window is 64 px, Inception V3 needs at least 75: tile again .*, "
        r"or set training\.backbone to resnet50 or mobilenet_v3_small or small_resnet$"
    )
    with pytest.raises(UsageError, match=reason):
        core_model(1, 64, settings("inception_v3"))
    with pytest.raises(UsageError, match=r"6 px, Small ResNet needs at least 8: tile again with a larger window$"):
        core_model(1, 6, settings("small_resnet"))
