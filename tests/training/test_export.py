"""The exported form of a model: it agrees with Keras on a trained model, and is kept only then."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from cluster.errors import JobError
from tests.training.tiny_core import tiny_core
from tests.training.tiny_table import patch_image
from training.export import PROBE_PATCHES, TOLERANCE, export_model, export_onnx
from training.exported import compiled, files_hash, onnx_session


def batches(count: int = 64) -> Iterator[dict[str, np.ndarray]]:
    """Patches of both classes; the two scales show different ones."""
    rng = np.random.default_rng(3)
    while True:
        labels = [int(label) for label in rng.integers(0, 2, count)]
        yield {f"scale_{k}": np.stack([patch_image(rng, label) for label in labels]) for k in (0, 1)}


@pytest.fixture(scope="module")
def trained() -> keras.Model:
    keras.utils.set_random_seed(4)
    core = tiny_core()
    core.compile(keras.optimizers.Adam(1e-2), keras.losses.BinaryCrossentropy())
    rng = np.random.default_rng(4)
    labels = np.arange(64) % 2
    images = {f"scale_{k}": np.stack([patch_image(rng, int(label)) for label in labels]) for k in (0, 1)}
    core.fit(images, labels[:, None], epochs=5, verbose=0)
    return core


def test_exported_model_answers_as_keras_does_on_patches_it_was_not_compared_on(
    trained: keras.Model, tmp_path: Path
) -> None:
    card = export_model(trained, tmp_path, batches())
    unseen = {name: values.astype(np.float32) + 0.5 for name, values in next(batches(37)).items()}
    expected = trained.predict_on_batch(unseen)
    assert expected.std() > 10 * TOLERANCE  # it learned to tell patches apart
    found = compiled(tmp_path / card.file)(unseen)[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    assert card.patches == PROBE_PATCHES
    assert card.largest_difference < TOLERANCE
    assert card.sha256 == files_hash(tmp_path / "model.xml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "model.xml"]


def test_onnx_form_answers_as_keras_does_and_prints_nothing(
    trained: keras.Model, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    card = export_onnx(trained, tmp_path, batches())
    assert capfd.readouterr().out == ""  # what TensorFlow itself logs is hidden by the command line
    unseen = {name: values.astype(np.float32) + 0.5 for name, values in next(batches(37)).items()}
    expected = trained.predict_on_batch(unseen)
    assert expected.std() > 10 * TOLERANCE
    session = onnx_session(tmp_path / card.file)
    np.testing.assert_allclose(session.run(None, unseen)[0], expected, rtol=0, atol=TOLERANCE)
    swapped = dict(zip(reversed(unseen), unseen.values(), strict=True))
    np.testing.assert_allclose(session.run(None, swapped)[0], trained.predict_on_batch(swapped), rtol=0, atol=TOLERANCE)
    assert (card.file, card.patches) == ("model.onnx", PROBE_PATCHES)
    assert card.sha256 == files_hash(tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_scales_keep_their_names(trained: keras.Model, tmp_path: Path) -> None:
    graph = tmp_path / export_model(trained, tmp_path, batches()).file
    images = {name: values.astype(np.float32) for name, values in next(batches(8)).items()}
    swapped = dict(zip(reversed(images), images.values(), strict=True))
    assert np.abs(trained.predict_on_batch(images) - trained.predict_on_batch(swapped)).max() > TOLERANCE
    np.testing.assert_allclose(compiled(graph)(swapped)[0], trained.predict_on_batch(swapped), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("export", [export_model, export_onnx])
def test_model_that_answers_no_number_is_not_exported(tmp_path: Path, export: Callable[..., object]) -> None:
    core = tiny_core()
    core.set_weights([np.full_like(weight, np.nan) for weight in core.get_weights()])
    with pytest.raises(JobError, match="differs from Keras by nan"):
        export(core, tmp_path, batches())
    assert list(tmp_path.iterdir()) == []


def test_converter_cannot_report_its_use(trained: keras.Model, tmp_path: Path) -> None:
    export_model(trained, tmp_path, batches())
    converter = importlib.import_module("openvino.tools.ovc.convert_impl")
    assert converter.tm.__name__ == "openvino.tools.ovc.telemetry_stub"
