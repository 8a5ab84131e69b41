"""The engine computes what the model computes, in batches, and executes nothing that a model file brings along."""

from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.engines.base import EngineName, grade_share, tumor_probability
from inference.engines.choice import EngineSpec, loaded
from inference.engines.keras_engine import KerasEngine
from inference.engines.onnx_engine import OnnxEngine
from inference.engines.openvino_engine import OpenVinoEngine
from tests.inference.color_model import expected_probability
from training.export import export_model, export_onnx


@pytest.fixture(scope="module")
def exported(tiny_model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both exported forms."""
    folder = tmp_path_factory.mktemp("exported")
    probe = {name: np.full((16, 80, 80, 3), 150, np.float32) for name in ("scale_0", "scale_1")}
    export_model(tiny_model, folder, [probe])
    export_onnx(tiny_model, folder, [probe])
    return folder


@pytest.mark.parametrize("form", ["keras", "openvino", "onnx"])
@pytest.mark.parametrize("count", [1, 15, 16, 17, 40])
def test_a_last_batch_that_is_not_full_changes_nothing(
    tiny_model: keras.Model, model_file: Path, exported: Path, form: EngineName, count: int
) -> None:
    rng = np.random.default_rng(count)
    around = rng.integers(100, 220, (count, 2, 1, 1, 3))
    noise = rng.integers(-30, 30, (count, 2, 80, 80, 3))
    pixels = (around + noise).astype(np.uint8)
    images = [pixels[:, 0], pixels[:, 1]]
    files = {"keras": model_file, "openvino": exported / "model.xml", "onnx": exported / "model.onnx"}
    engines = {"keras": KerasEngine, "openvino": OpenVinoEngine, "onnx": OnnxEngine}
    judge = loaded(EngineSpec(form, files[form].name, 16), str(files[form]))
    assert type(judge) is engines[form]
    got = judge.predict([images])
    assert got.shape == (count,)
    assert got.dtype == np.float32
    whole = tiny_model.predict({"scale_0": images[0], "scale_1": images[1]}, batch_size=count, verbose=0)[:, 0]
    np.testing.assert_allclose(got, whole, atol=1e-6)
    np.testing.assert_allclose(got, expected_probability(pixels.mean(axis=(2, 3))), atol=1e-5)
    assert count == 1 or np.ptp(got) > 0.05


def test_of_several_classes_all_but_normal_are_tumor() -> None:
    three = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], np.float32)
    np.testing.assert_allclose(tumor_probability(three), [0.3, 0.9], rtol=1e-6)
    np.testing.assert_array_equal(tumor_probability(np.array([[0.25], [0.5]], np.float32)), [0.25, 0.5])


def test_of_grades_the_expected_one_counts_as_a_share_of_the_highest(exported: Path) -> None:
    three = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0, 0, 1]], np.float32)
    np.testing.assert_allclose(grade_share(three), [0.2, 0.75, 1], rtol=1e-6)
    np.testing.assert_array_equal(grade_share(np.array([[0.25], [0.5]], np.float32)), [0.25, 0.5])
    spec = EngineSpec("openvino", "model.xml", 16, ordered=True)
    assert (spec.read, EngineSpec("openvino", "model.xml", 16).read) == (grade_share, tumor_probability)
    answers: list[NDArray[np.float32]] = []
    judge = OpenVinoEngine(str(exported / "model.xml"), 16, read=lambda it: answers.append(it) or it[:, 0] / 2)
    half = judge.predict([[np.full((3, 80, 80, 3), 150, np.uint8)] * 2])
    np.testing.assert_array_equal(half, answers[0][:, 0] / 2)


def test_code_in_a_model_file_is_refused_and_not_run(tmp_path: Path) -> None:
    trace, file = tmp_path / "it ran", tmp_path / "model.keras"
    pixels = keras.Input((80, 80, 3), name="scale_0")
    place = str(trace)
    layer = keras.layers.Lambda(lambda x: (__import__("pathlib").Path(place).touch(), x)[1])
    mean = keras.layers.GlobalAveragePooling2D()(layer(pixels))
    keras.Model({"scale_0": pixels}, keras.layers.Dense(1)(mean)).save(file)
    trace.unlink()
    keras.saving.load_model(file, compile=False, safe_mode=False)
    assert trace.exists()  # so it does no harm by luck alone
    trace.unlink()
    with pytest.raises(ValueError, match=r"[Ll]ambda"):
        KerasEngine(str(file), batch_size=4)
    assert not trace.exists()
