"""First weights: Keras' file of the backbone, a file on any storage, or an error that says where to get one."""

from collections.abc import Callable
from pathlib import Path
from unittest import mock

import fsspec
import h5py
import keras
import numpy as np
import pytest

from cluster.errors import UsageError
from preprocessing.recipe import Training
from training.backbones import BACKBONES
from training.models import core_model

WINDOW = 80
QUICK = "mobilenet_v3_small"
PUBLISHED: dict[str, Callable[..., keras.Model]] = {
    "inception_v3": keras.applications.InceptionV3,
    "resnet50": keras.applications.ResNet50,
    QUICK: keras.applications.MobileNetV3Small,
}


def published(backbone: str, weights: str | None = None) -> keras.Model:
    """As keras.applications builds it."""
    return PUBLISHED[backbone](include_top=False, weights=weights, input_shape=(WINDOW, WINDOW, 3), pooling="avg")


def settings(backbone: str, weights: str, **others: object) -> Training:
    return Training.model_validate({"weights": weights, "backbone": backbone, **others})


def remedy_of(backbone: str, weights: str) -> str:
    with pytest.raises(UsageError) as caught:
        core_model(1, WINDOW, settings(backbone, weights))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("training.weights: ")
    assert BACKBONES[backbone].imagenet.url in message
    return message


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random weights of each backbone, as `save_weights` writes them."""
    folder = tmp_path_factory.mktemp("weights")
    paths = {backbone: folder / f"{backbone}.weights.h5" for backbone in PUBLISHED}
    for backbone, path in paths.items():
        published(backbone).save_weights(path)
    return paths


@pytest.mark.filterwarnings("ignore:`input_shape` is undefined")
@pytest.mark.parametrize("backbone", PUBLISHED)
def test_imagenet_is_the_file_that_keras_would_fetch(backbone: str) -> None:
    module = PUBLISHED[backbone].__module__
    with mock.patch(f"{module}.file_utils.get_file", side_effect=InterruptedError) as theirs:
        with pytest.raises(InterruptedError):
            published(backbone, "imagenet")
        expected = theirs.call_args
    with mock.patch("keras.utils.get_file", side_effect=Exception("URL fetch failure")) as ours:
        assert "cannot be downloaded" in remedy_of(backbone, "imagenet")
    assert ours.call_args == expected


@pytest.mark.parametrize("backbone", PUBLISHED)
def test_a_weights_file_fills_every_tower(backbone: str, files: dict[str, Path]) -> None:
    source = published(backbone)
    source.load_weights(files[backbone])
    core = core_model(2, WINDOW, settings(backbone, str(files[backbone])))
    for name in ("tower_0", "tower_1"):
        loaded = core.get_layer(name).get_weights()
        assert all(np.array_equal(one, other) for one, other in zip(loaded, source.get_weights(), strict=True))


@pytest.mark.parametrize("backbone", PUBLISHED)
def test_weights_of_another_backbone_are_refused_with_the_remedy(backbone: str, files: dict[str, Path]) -> None:
    for other in PUBLISHED.keys() - {backbone}:
        message = remedy_of(backbone, str(files[other]))
        assert f"does not hold {BACKBONES[backbone].title} without its top" in message


def legacy(model: keras.Model, path: Path) -> Path:
    """The layout of Keras' own files: a group per layer, in order, with the names of its arrays as attributes."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{number}" for number in range(len(layer.weights))]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, value in zip(names, layer.get_weights(), strict=True):
                group.create_dataset(name, data=value)
    return path


def test_a_file_in_the_layout_of_keras_own_ones_is_read_and_that_of_another_backbone_refused(tmp_path: Path) -> None:
    source = published(QUICK)
    path = legacy(source, tmp_path / "notop.h5")
    loaded = core_model(1, WINDOW, settings(QUICK, str(path))).get_layer("tower_0").get_weights()
    assert all(np.array_equal(one, other) for one, other in zip(loaded, source.get_weights(), strict=True))
    remedy_of("resnet50", str(path))
    remedy_of("inception_v3", str(path))


def test_a_file_on_other_storage_is_fetched_and_its_copy_removed(files: dict[str, Path], tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/first/mine.weights.h5", files[QUICK].read_bytes())
    with mock.patch("tempfile.tempdir", str(tmp_path)):
        core = core_model(1, WINDOW, settings(QUICK, "memory://first/mine.weights.h5"))
    source = published(QUICK)
    source.load_weights(files[QUICK])
    pairs = zip(core.get_layer("tower_0").get_weights(), source.get_weights(), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    assert not list(tmp_path.iterdir())


def test_missing_broken_and_unreadable_files_name_the_remedy(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.weights.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]).save_weights(wrong)
    broken = tmp_path / "broken.weights.h5"
    broken.write_bytes(b"no HDF5")
    text = tmp_path / "weights.txt"
    text.write_text("none")
    for path in (wrong, broken, text):
        assert f"{path} does not hold MobileNet V3 small" in remedy_of(QUICK, str(path))
    assert "there is no file" in remedy_of(QUICK, str(tmp_path / "absent.h5"))
    assert "there is no file" in remedy_of(QUICK, str(tmp_path))
    assert "cannot be read" in remedy_of(QUICK, "nowhere://first/mine.h5")


def kept(backbone: str, scales: int, path: Path) -> keras.Model:
    """A model as training keeps it; each tower has weights and statistics of its own."""
    keras.utils.set_random_seed(7)
    core = core_model(scales, WINDOW, settings(backbone, "none"), classes=5)
    rng = np.random.default_rng(7)
    core.set_weights([rng.uniform(0.5, 1.5, value.shape) * (value + 0.01) for value in core.get_weights()])
    core.save(path)
    return core


def test_the_tower_of_a_trained_model_is_taken_over_where_images_are_larger(tmp_path: Path) -> None:
    """Told by what it answers, not by the order of its weights."""
    given = kept(QUICK, 1, tmp_path / "model.keras").get_layer("tower_0")
    taken = core_model(1, 96, settings(QUICK, str(tmp_path / "model.keras"))).get_layer("tower_0")
    twin = BACKBONES[QUICK].build(input_shape=(WINDOW, WINDOW, 3), name="twin", pooling="avg")
    twin.set_weights(taken.get_weights())
    image = np.random.default_rng(1).uniform(-1, 1, (2, WINDOW, WINDOW, 3)).astype(np.float32)
    np.testing.assert_allclose(twin.predict_on_batch(image), given.predict_on_batch(image), rtol=1e-4, atol=1e-5)


def test_each_tower_takes_over_its_own_and_a_model_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "model.keras")
    source = kept("small_resnet", 2, tmp_path / "model.keras")
    more = {"blocks": [{"channels": [4, 4, 8]}], "precision": "bfloat16", "input_crop": [40, 64]}
    core = core_model(2, 96, settings("small_resnet", path, **more))
    for name in ("tower_0", "tower_1"):
        pairs = zip(source.get_layer(name).get_weights(), core.get_layer(name).get_weights(), strict=True)
        assert all(np.array_equal(one, other) for one, other in pairs)
    assert not np.array_equal(core.get_layer("tower_0").get_weights()[0], core.get_layer("tower_1").get_weights()[0])
    with pytest.raises(
        UsageError, match=r"is a model of Small ResNet, and training\.backbone asks for MobileNet V3 small"
    ):
        core_model(2, WINDOW, settings(QUICK, path))
    with pytest.raises(UsageError, match="has 2 towers, and this recipe 1 tower: take a model of as many scales"):
        core_model(2, WINDOW, settings("small_resnet", path, share_towers=True))


def test_a_file_that_is_no_model_of_ours_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]).save(foreign)
    with_code = tmp_path / "code.keras"
    image = keras.Input((2,))
    keras.Model(image, keras.layers.Lambda(lambda values: values + 1)(image)).save(with_code)
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(foreign.read_bytes()[:200])
    reasons = {
        foreign: "is no model of histospark train",
        with_code: "is no model that can be loaded",
        damaged: "is no model that can be loaded",
        tmp_path / "absent.keras": "there is no file",
    }
    for path, reason in reasons.items():
        with pytest.raises(UsageError, match=reason):
            core_model(1, 32, settings("small_resnet", str(path)))


def test_a_backbone_without_imagenet_weights_says_what_there_is() -> None:
    with pytest.raises(
        UsageError, match=r"no ImageNet weights of this backbone; give the path of a model.keras .*none"
    ):
        core_model(1, 32, settings("small_resnet", "imagenet"))
