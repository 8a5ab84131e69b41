"""Residual blocks after a tower and the small ResNet: against Keras' own blocks, published sizes, CAM, and one step."""

import keras
import numpy as np
import pytest
from keras.layers import Conv2D

from preprocessing.recipe import Training
from preprocessing.training_settings import Stage
from training.grad_cam import grad_cam
from training.models import core_model
from training.residual_blocks import residual_blocks
from training.small_resnet import small_resnet
from training.stages import backbones, compile_stage, rate_factors, set_trainable

SIDE = 40


def settings(**others: object) -> Training:
    return Training.model_validate({"weights": "none", "backbone": "small_resnet", **others})


def randomized(model: keras.Model, seed: int = 1) -> keras.Model:
    """Batch norms that have seen something."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, value.shape) for value in layer.get_weights()])
    return model


def images(count: int, scales: int = 1, side: int = SIDE) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    return {
        f"scale_{scale}": rng.integers(0, 256, (count, side, side, 3)).astype(np.float32) for scale in range(scales)
    }


def test_a_block_is_a_stack_of_resnet50_as_keras_has_it() -> None:
    """Whose convolutions have a bias, here 0, and whose batch norm another epsilon."""
    resnet = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(36, 44, 3))
    first, last = (resnet.get_layer(name).output for name in ("conv2_block3_out", "conv3_block4_out"))
    theirs = keras.Model(first, last)
    training = settings(blocks=[{"channels": [128, 128, 512], "repeats": 4}], pooling="flatten")
    ours = randomized(residual_blocks(keras.Model(resnet.input, first), training, "blocks_0"))
    named = {"0": "shortcut", "1": "0", "2": "1", "3": "2"}
    copied = 0
    for layer in theirs.layers:
        if layer.variables:
            _, block, part, kind = layer.name.split("_")
            place = f"block_0_{int(block.removeprefix('block')) - 1}_{named[part]}"
            twin = ours.get_layer(f"{place}_{'norm' if kind == 'bn' else 'convolution'}")
            bias = [layer.bias.numpy()] if isinstance(layer, Conv2D) else []
            layer.set_weights([*twin.get_weights(), *bias])
            layer.epsilon = 1e-3
            copied += len(twin.weights)
    assert copied == len(ours.weights)
    maps = np.random.default_rng(3).normal(size=(2, 9, 11, 256)).astype(np.float32)
    expected = theirs.predict_on_batch(maps)
    assert expected.shape == (2, 5, 6, 512)
    np.testing.assert_allclose(ours.predict_on_batch(maps), expected.reshape(2, -1), rtol=1e-3, atol=1e-4)


def test_the_small_resnet_has_the_published_sizes() -> None:
    tower = small_resnet((64, 64, 3), "tower_0")
    ends = [tower.get_layer(name).output.shape[1:] for name in ("first_convolution", "stage_0_block_2")]
    ends += [tower.get_layer(f"stage_{stage}_block_2").output.shape[1:] for stage in (1, 2)]
    assert ends == [(32, 32, 16), (32, 32, 32), (16, 16, 64), (8, 8, 128)]
    kernels = {layer.name: layer.kernel.shape for layer in tower.layers if isinstance(layer, Conv2D)}
    # In the first block of a stage a quarter of the channels before it, then of its own; 3 shortcuts are projected.
    expected = 3 * 3 * 3 * 16
    for before, after in ((16, 32), (32, 64), (64, 128)):
        narrow, wide = before // 4, after // 4
        expected += before * narrow + 9 * narrow**2 + narrow * after + before * after
        expected += 2 * (after * wide + 9 * wide**2 + wide * after)
    assert sum(np.prod(shape) for shape in kernels.values()) == expected
    assert len(kernels) == 1 + 9 * 3 + 3
    norms = [layer for layer in tower.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert (len(norms), {layer.epsilon for layer in norms}) == (28, {1e-4})


def test_a_block_of_the_small_resnet_adds_to_what_it_was_given() -> None:
    tower = randomized(small_resnet((16, 16, 3), "tower_0"))
    for name in ("stage_1_block_1_2_convolution", "stage_1_block_2_2_convolution"):
        layer = tower.get_layer(name)
        layer.set_weights([np.zeros_like(value) for value in layer.get_weights()])
    names = [f"stage_1_block_{number}" for number in range(3)]
    probe = keras.Model(tower.input, [tower.get_layer(name).output for name in names])
    first, second, third = probe.predict_on_batch(np.random.default_rng(4).normal(size=(2, 16, 16, 3)))
    assert np.array_equal(first, second)
    assert np.array_equal(first, third)
    assert first.min() < 0 < first.max()  # nothing follows the sum


@pytest.fixture(scope="module")
def core() -> keras.Model:
    keras.utils.set_random_seed(5)
    blocks = [{"channels": [4, 4, 16], "repeats": 2}]
    return core_model(2, 80, settings(blocks=blocks, batch_norm_momentum=0.9, batch_size=4), classes=3)


def test_blocks_belong_to_the_head_and_only_they_learn_when_the_backbone_rests(core: keras.Model) -> None:
    assert [tower.name for tower in backbones(core)] == ["tower_0", "tower_1"]
    stage = Stage(trainable_from="head")
    training = settings(batch_size=4)
    before = {layer.name: layer.get_weights() for layer in core.layers}
    compile_stage(core, core, stage, training, 2)
    core.run_eagerly = True  # for two steps quicker than a graph
    for _ in range(2):
        core.train_on_batch(images(4, 2, 80), np.array([[0.0], [1], [2], [1]], np.float32))
    changed = {
        name: [not np.array_equal(*pair) for pair in zip(values, core.get_layer(name).get_weights(), strict=True)]
        for name, values in before.items()
        if values
    }
    assert all(all(changed[name]) for name in ("blocks_0", "blocks_1", "class_probabilities"))
    assert not any(any(changed[name]) for name in ("tower_0", "tower_1"))


def test_groups_share_out_the_backbone_alone(core: keras.Model) -> None:
    stage = Stage(trainable_from="stage_2_block_0", group_rates=(0.1, 0.5))
    set_trainable(core, stage, freeze_batch_norm=False)
    factors = rate_factors(core, stage, freeze_batch_norm=False)
    by_variable = {id(variable): factor for variable, factor in zip(core.trainable_variables, factors, strict=True)}
    for tower in backbones(core):
        assert {by_variable[id(variable)] for variable in tower.trainable_variables} == {0.1, 0.5}
    for name in ("blocks_0", "blocks_1", "class_probabilities"):
        assert {by_variable[id(it)] for it in core.get_layer(name).trainable_variables} == {1.0}
    core.trainable = True


def test_heatmaps_of_blocks_are_cam_over_their_map(core: keras.Model) -> None:
    """80 px: the tower ends with 10 x 10 places, its blocks with 5 x 5, which mean and dense layer follow."""
    patches = images(3, 2, 80)
    classes = np.array([2, 0, 1])
    found = grad_cam(core, [pixels.astype(np.uint8) for pixels in patches.values()], classes)
    assert [(it.tower, it.layer) for it in found] == [("blocks_0", "block_0_1"), ("blocks_1", "block_0_1")]
    kernel = core.get_layer("class_probabilities").get_weights()[0]
    for scale, it in enumerate(found):
        blocks = core.get_layer(f"blocks_{scale}")
        ends = keras.Model(blocks.input, blocks.get_layer("block_0_1").output)
        told = core.get_layer(f"tower_{scale}").predict_on_batch(patches[f"scale_{scale}"] / np.float32(127.5) - 1)
        weights = kernel[16 * scale : 16 * scale + 16][:, classes]
        expected = np.maximum(np.einsum("nyxc,cn->nyx", ends.predict_on_batch(told), weights) / 25, 0)
        np.testing.assert_allclose(it.heatmaps, expected, rtol=1e-3, atol=1e-6)


def test_heatmaps_are_of_the_tower_where_the_maps_of_its_blocks_are_too_small() -> None:
    blocks = [{"channels": [4, 4, 16]}]
    core = core_model(2, SIDE, settings(blocks=blocks, share_towers=True, hidden=[4]))
    assert [layer.name for layer in core.layers if isinstance(layer, keras.Model)] == ["tower_0", "blocks_0"]
    found = grad_cam(core, [pixels.astype(np.uint8) for pixels in images(3, 2).values()], np.array([1, 0, 1]))
    assert [(it.tower, it.layer) for it in found] == [("tower_0", "end_relu")] * 2
    assert all(it.heatmaps.shape == (3, 5, 5) for it in found)
    assert any(it.heatmaps.any() for it in found)
