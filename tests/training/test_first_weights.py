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
from training.models import BACKBONES, core_model

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
