"""Heatmaps against what is known otherwise: CAM from weights, finite differences, a model that looks at one spot."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import pytest
from keras.layers import Activation, Add, Concatenate, Conv2D, Dense, GlobalAveragePooling2D, Rescaling, ZeroPadding2D

from cluster.errors import JobError
from preprocessing.recipe import Training
from training.grad_cam import grad_cam, map_layer
from training.head import OUTPUT
from training.models import core_model

SIDE = 48


def core_of(
    towers: Sequence[keras.Model], scales: int, head: Callable[[keras.KerasTensor], keras.KerasTensor]
) -> keras.Model:
    """A core wired as `core_model` wires it."""
    inputs = {f"scale_{scale}": keras.Input((SIDE, SIDE, 3), name=f"scale_{scale}") for scale in range(scales)}
    features = [
        towers[scale % len(towers)](Rescaling(1 / 127.5, offset=-1, name=f"centered_scale_{scale}")(pixels))
        for scale, pixels in enumerate(inputs.values())
    ]
    joined = Concatenate(name="features")(features) if scales > 1 else features[0]
    return keras.Model(inputs, head(joined), name="histospark")


def small_tower(name: str) -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    values = Conv2D(5, 6, strides=6, activation="relu", name="first")(image)
    values = Conv2D(7, 3, padding="same", activation="relu", name="last")(values)
    return keras.Model(image, GlobalAveragePooling2D()(values), name=name)


def sigmoid_head(joined: keras.KerasTensor) -> keras.KerasTensor:
    return Dense(1, activation="sigmoid", name=OUTPUT)(joined)


def softmax_head(joined: keras.KerasTensor) -> keras.KerasTensor:
    return Activation("softmax", name=OUTPUT)(Dense(4, name="scores")(joined))


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (11, SIDE, SIDE, 3)).astype(np.uint8) for _ in range(2)]


def last_maps(tower: keras.Model, pixels: np.ndarray) -> np.ndarray:
    probe = keras.Model(tower.inputs, tower.get_layer("last").output)
    return probe.predict_on_batch(pixels.astype(np.float32) / np.float32(127.5) - 1)


@pytest.mark.parametrize("head", [sigmoid_head, softmax_head])
@pytest.mark.parametrize("shared", [True, False])
def test_it_is_cam_where_pooling_and_dense_follow_the_map(
    images: list[np.ndarray], head: Callable, shared: bool
) -> None:
    keras.utils.set_random_seed(3)
    towers = [small_tower(f"tower_{scale}") for scale in range(1 if shared else 2)]
    core = core_of(towers, 2, head)
    kernel = next(layer for layer in core.layers if isinstance(layer, Dense)).get_weights()[0]
    outputs = kernel.shape[1]
    classes = np.arange(11) % max(outputs, 2)
    found = grad_cam(core, images, classes)
    assert [(it.tower, it.layer) for it in found] == [("tower_0", "last"), (towers[-1].name, "last")]
    for scale in range(2):
        maps = last_maps(towers[scale % len(towers)], images[scale])
        mine = kernel[7 * scale : 7 * scale + 7]
        weights = mine[:, classes] if outputs > 1 else mine * np.where(classes == 1, 1, -1)
        cam = np.maximum(np.einsum("nyxc,cn->nyx", maps, weights) / 64, 0)  # 8 x 8 places are averaged
        np.testing.assert_allclose(found[scale].heatmaps, cam, rtol=1e-4, atol=1e-7)
        assert (cam > 0).any()


def test_weights_are_those_of_finite_differences(images: list[np.ndarray]) -> None:
    """A network that goes on after the map; the score is moved by shifting one whole channel of it a little."""
    keras.utils.set_random_seed(5)
    image = keras.Input((SIDE, SIDE, 3))
    seen = Conv2D(4, 8, strides=8, activation="tanh", name="seen")(image)
    rest = GlobalAveragePooling2D()(Conv2D(6, 5, activation="tanh", name="later")(seen))
    tower = keras.Model(image, rest, name="tower_0")
    core = core_of([tower], 1, sigmoid_head)
    (found,) = grad_cam(core, images[:1], np.ones(11, np.int64))
    assert found.layer == "seen"  # the later one has 2 x 2 places
    maps = keras.Model(image, seen).predict_on_batch(images[0].astype(np.float32) / np.float32(127.5) - 1)
    kernel, bias = (value.astype(np.float64) for value in tower.get_layer("later").get_weights())
    dense = core.get_layer(OUTPUT).get_weights()[0][:, 0].astype(np.float64)

    def score(values: np.ndarray) -> np.ndarray:
        patches = np.lib.stride_tricks.sliding_window_view(values.astype(np.float64), (5, 5), axis=(1, 2))
        return np.tanh(np.einsum("nyxcij,ijco->nyxo", patches, kernel) + bias).mean(axis=(1, 2)) @ dense

    step = 1e-5 * np.eye(4)
    weights = np.stack([(score(maps + one) - score(maps - one)) / 2e-5 / 36 for one in step], axis=1)
    expected = np.maximum(np.einsum("nyxc,nc->nyx", maps, weights), 0)
    np.testing.assert_allclose(found.heatmaps, expected, rtol=1e-3, atol=1e-6)


def test_a_model_that_looks_for_a_dark_spot_is_seen_to_look_there() -> None:
    image = keras.Input((SIDE, SIDE, 3))
    dark = Conv2D(1, 6, strides=6, activation="relu", name="dark")
    tower = keras.Model(image, GlobalAveragePooling2D()(dark(image)), name="tower_0")
    dark.set_weights([np.full((6, 6, 3, 1), -1 / 108, np.float32), np.zeros(1, np.float32)])
    core = core_of([tower], 1, sigmoid_head)
    core.get_layer(OUTPUT).set_weights([np.full((1, 1), 500, np.float32), np.zeros(1, np.float32)])
    pixels = np.full((3, SIDE, SIDE, 3), 250, np.uint8)
    for patch, (row, column) in enumerate([(1, 6), (5, 2), (7, 7)]):
        pixels[patch, 6 * row : 6 * row + 6, 6 * column : 6 * column + 6] = 10
    assert core.predict_on_batch({"scale_0": pixels[:1]})[0, 0] > 0.999  # saturated, and still explained
    (tumor,) = grad_cam(core, [pixels], np.ones(3, np.int64))
    peaks = [np.unravel_index(it.argmax(), it.shape) for it in tumor.heatmaps]
    assert [(int(row), int(column)) for row, column in peaks] == [(1, 6), (5, 2), (7, 7)]
    (normal,) = grad_cam(core, [pixels], np.zeros(3, np.int64))
    assert (normal.heatmaps == 0).all()  # nothing in it speaks for class 0


def test_a_bypassed_a_padded_or_a_tiny_map_is_not_explained() -> None:
    image = keras.Input((SIDE, SIDE, 3))
    whole = Conv2D(4, 6, strides=6, name="whole")(image)
    part = Conv2D(4, 3, padding="same", name="part")(whole)
    summed = Add(name="summed")([whole, part])
    left = Conv2D(3, 2, strides=2, name="left")(summed)
    inner = Conv2D(3, 3, padding="same", name="inner")(summed)
    right = Conv2D(3, 2, strides=2, name="right")(inner)
    padded = ZeroPadding2D(3, name="padded")(Concatenate(name="tiny")([left, right]))
    assert map_layer(keras.Model(image, GlobalAveragePooling2D()(padded), name="tower_0")) == "summed"


@pytest.mark.parametrize(
    ("backbone", "window", "layer", "side"),
    [
        ("inception_v3", 80, "mixed2", 7),
        ("mobilenet_v3_small", 48, "activation", 6),  # unnamed, before the depthwise convolution that halves the map
        ("resnet50", 64, "conv3_block4_out", 8),
    ],
)
def test_each_backbone_is_explained_by_its_last_map_that_is_large_enough(
    backbone: str, window: int, layer: str, side: int
) -> None:
    core = core_model(1, window, Training(backbone=backbone, weights="none", share_towers=True))
    tower = core.get_layer("tower_0")
    found = map_layer(tower)
    assert found.rpartition("_")[0] == layer or found == layer
    assert tower.get_layer(found).output.shape[1:3] == (side, side)


def test_the_same_heatmaps_come_from_the_saved_model(images: list[np.ndarray], tmp_path: object) -> None:
    core = core_model(2, SIDE, Training(backbone="mobilenet_v3_small", weights="none", share_towers=True))
    core.save(f"{tmp_path}/model.keras")
    again = keras.saving.load_model(f"{tmp_path}/model.keras", compile=False, safe_mode=True)
    classes = np.arange(11) % 2
    for one, other in zip(grad_cam(core, images, classes), grad_cam(again, images, classes), strict=True):
        assert (one.tower, one.layer) == (other.tower, other.layer)
        np.testing.assert_array_equal(one.heatmaps, other.heatmaps)


def test_a_model_of_another_make_is_refused(images: list[np.ndarray]) -> None:
    inputs = {"scale_0": keras.Input((SIDE, SIDE, 3), name="scale_0")}
    other = keras.Model(inputs, Dense(1)(GlobalAveragePooling2D()(inputs["scale_0"])))
    with pytest.raises(JobError, match="cannot be told apart, so it has no heatmaps"):
        grad_cam(other, images[:1], np.ones(11, np.int64))
