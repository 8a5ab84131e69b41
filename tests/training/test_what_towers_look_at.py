"""The middle of a patch, its mean color, all places of a map; and every new part is saved and exported as it is."""

import itertools
from pathlib import Path

import keras
import numpy as np
import pytest

from cluster.errors import UsageError
from preprocessing.recipe import Training
from training.export import export_model
from training.grad_cam import grad_cam
from training.models import core_model

WINDOW = 44
BLOCKS = [{"channels": [4, 4, 8], "repeats": 2}, {"channels": [4, 4, 8]}]
SHARED_AND_SCALED = {
    "input_crop": [32, 32],
    "input_side": 40,
    "share_towers": True,
    "blocks": BLOCKS,
    "pooling": "average_and_maximum",
    "hidden": [5],
}


def settings(**others: object) -> Training:
    return Training.model_validate({"weights": "none", "backbone": "small_resnet", **others})


def images(count: int = 5, scales: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {f"scale_{it}": rng.integers(0, 256, (count, WINDOW, WINDOW, 3)).astype(np.float32) for it in range(scales)}


def test_a_tower_looks_at_the_middle_of_a_patch() -> None:
    cropped = core_model(1, WINDOW, settings(input_crop=[32, 32]))
    plain = core_model(1, 32, settings())
    plain.set_weights(cropped.get_weights())
    given = images()["scale_0"]
    expected = plain.predict_on_batch({"scale_0": given[:, 6:38, 6:38]})
    np.testing.assert_allclose(cropped.predict_on_batch({"scale_0": given}), expected, rtol=1e-5)
    odd = core_model(1, WINDOW, settings(input_crop=[33, 16]))
    seen = keras.Model(odd.input, odd.get_layer("cropped_scale_0").output).predict_on_batch({"scale_0": given})
    assert np.array_equal(seen, given[:, 5:38, 14:30])
    assert odd.get_layer("tower_0").input.shape == (None, 33, 16, 3)


def test_the_middle_is_cut_out_before_it_is_scaled() -> None:
    both = core_model(1, WINDOW, settings(input_crop=[22, 22], input_side=44))
    plain = core_model(1, 22, settings(input_side=44))
    plain.set_weights(both.get_weights())
    given = images()["scale_0"]
    expected = plain.predict_on_batch({"scale_0": given[:, 11:33, 11:33]})
    np.testing.assert_allclose(both.predict_on_batch({"scale_0": given}), expected, rtol=1e-5)


def test_heatmaps_of_a_middle_lie_where_it_was_cut_out() -> None:
    """Columns 12 to 31 of 44 are seen; the frame around them stays empty, and the map is spread over the middle."""
    keras.utils.set_random_seed(3)
    core = core_model(1, WINDOW, settings(input_crop=[44, 20]))
    given = images()["scale_0"].astype(np.uint8)
    (found,) = grad_cam(core, [given], np.array([0, 1, 0, 1, 0]))
    assert found.heatmaps.shape == (5, 44, 44)
    assert not found.heatmaps[:, :, :12].any()
    assert not found.heatmaps[:, :, 32:].any()
    narrow = keras.Model(core.get_layer("tower_0").inputs, core.get_layer("tower_0").get_layer(found.layer).output)
    rows, columns = narrow.output.shape[1:3]
    assert (rows, columns) == (11, 5)
    middle = found.heatmaps[:, :, 12:32]
    places = middle.reshape(5, rows, 4, columns, 4)  # 44 px show 11 places, 20 px 5
    assert np.array_equal(places, np.broadcast_to(places[:, :, :1, :, :1], places.shape))
    assert middle.any()


def test_the_mean_color_is_taken_off_before_resnet50() -> None:
    core = core_model(1, WINDOW, settings(backbone="resnet50", mean_color=[183.37, 138.82, 166.07]))
    given = images()["scale_0"]
    seen = keras.Model(core.input, core.get_layer("centered_scale_0").output).predict_on_batch({"scale_0": given})
    expected = (given - np.array([183.37, 138.82, 166.07], np.float32))[..., ::-1]
    np.testing.assert_allclose(seen, expected, atol=1e-4)


def test_a_flat_map_tells_every_place() -> None:
    core = core_model(1, WINDOW, settings(pooling="flatten"))
    tower = core.get_layer("tower_0")
    ends = keras.Model(tower.input, tower.get_layer("end_relu").output)
    scaled = images()["scale_0"] / np.float32(127.5) - 1
    expected = ends.predict_on_batch(scaled).reshape(5, -1)
    assert expected.shape[1] == 6 * 6 * 128
    assert np.array_equal(tower.predict_on_batch(scaled), expected)


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"input_crop": [45, 20]}, r"input_crop \(45 x 20 px\) is larger than tiling\.window \(44 px\)"),
        ({"input_crop": [40, 20], "input_side": 32}, r"input_side scales squares, and training\.input_crop is 40 x 20"),
        ({"input_crop": [40, 7]}, r"training\.input_crop is 7 px, Small ResNet needs at least 8: raise it$"),
        ({"mean_color": [50, 50, 50]}, "Small ResNet sees values from -1 to 1, whatever the mean; leave it out"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(others: dict[str, object], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        core_model(1, WINDOW, settings(**others))


def seasoned(core: keras.Model) -> keras.Model:
    """Statistics of some patches, and answers that differ from patch to patch."""
    given = images(16, len(core.input))
    models = [core, *(layer for layer in core.layers if isinstance(layer, keras.Model))]
    norms = [layer for model in models for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    core(given, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    last = core.layers[-1]
    told = keras.Model(core.input, last.input).predict_on_batch(given)
    kernel = np.random.default_rng(6).normal(size=last.kernel.shape)
    scores = told @ kernel
    last.set_weights([kernel / scores.std(), -scores.mean(axis=0) / scores.std()])
    return core


@pytest.mark.parametrize(
    ("scales", "others"),
    [
        (1, {"backbone": "mobilenet_v3_small", "input_crop": [40, 36], "blocks": BLOCKS, "pooling": "flatten"}),
        (2, SHARED_AND_SCALED),
        (1, {"backbone": "resnet50", "input_crop": [40, 32], "mean_color": [52.18] * 3}),
    ],
)
def test_every_part_is_saved_and_exported_as_it_is(scales: int, others: dict[str, object], tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    core = seasoned(core_model(scales, WINDOW, settings(**others), classes=3))
    core.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    models = [core, *(layer for layer in core.layers if isinstance(layer, keras.Model))]
    modules = {type(layer).__module__ for model in models for layer in model.layers}
    assert all(module.startswith("keras.") for module in modules)
    given = images(16, scales)
    expected = core.predict_on_batch(given)
    assert expected.std(axis=0).min() > 0.01
    np.testing.assert_allclose(again.predict_on_batch(given), expected, rtol=0, atol=1e-5)
    assert export_model(again, tmp_path, itertools.repeat(given, 1)).patches == 16  # which compares, and refuses
