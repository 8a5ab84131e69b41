"""Predictions come with label and slide of the very patch they are of."""

from collections.abc import Callable
from dataclasses import replace

import keras
import numpy as np
import pyarrow.parquet as pq
import pytest
import simplejpeg

from cluster.errors import JobError
from preprocessing.training_settings import ClassThenSlide
from tests.training.tiny_table import SLIDES, WINDOW, WrittenTable, tiny_recipe
from training.chosen_patches import stored_patches
from training.evaluation import in_file_order, split_predictions
from training.stream import Shuffle, SplitStream
from training.table import PatchTable, open_table
from training.training_report import judged_splits, judging_of


def brightness_model(window: int = WINDOW) -> keras.Model:
    """Answers the mean of the finest scale, 0 to 1: a number that names the patch."""
    inputs = {name: keras.Input((window, window, 3), name=name, dtype="uint8") for name in ("scale_0", "scale_1")}
    pixels = keras.layers.Rescaling(1 / 255)(inputs["scale_0"])
    mean = keras.layers.GlobalAveragePooling2D(keepdims=False)(pixels)
    output = keras.layers.Dense(1, use_bias=False, kernel_initializer=keras.initializers.Constant(1 / 3))(mean)
    return keras.Model(inputs, output)


def by_reading(table: PatchTable, split: str) -> list[tuple[str, int, float]]:
    """Slide, label and the model's answer of each row, file by file and patch by patch, without the stream."""
    rows, model = [], brightness_model()
    for file in table.labeled(split):
        for image in pq.ParquetFile(file.path).read(["image_0"])["image_0"].to_pylist():
            pixels = simplejpeg.decode_jpeg(image)[np.newaxis]
            answer = model.predict_on_batch({"scale_0": pixels, "scale_1": pixels})[0, 0]
            rows.append((file.partition.slide_id, file.partition.label, float(answer)))
    return rows


@pytest.mark.parametrize("settings", [{}, {"reader_workers": 3}, {"shuffle": Shuffle(5, 32)}])
def test_each_prediction_has_the_slide_and_label_of_its_patch(written: WrittenTable, settings: dict) -> None:
    table = open_table(written.uri)
    found = split_predictions(brightness_model(), SplitStream(table, "train", WINDOW, 16, **settings))
    slides, labels, answers = zip(*by_reading(table, "train"), strict=True)
    assert found.slide_ids.tolist() == list(slides)
    assert found.labels.tolist() == list(labels)
    assert found.probabilities.dtype == np.float32
    np.testing.assert_allclose(found.probabilities, answers, atol=1e-7)
    assert len(set(np.round(answers, 6))) > 80  # so that a swap would be seen


def test_rows_in_another_order_are_refused(written: WrittenTable) -> None:
    table = open_table(written.uri)
    files = table.labeled("train")
    labels = np.concatenate([np.full(file.rows, file.partition.label, np.int32) for file in files])
    with pytest.raises(JobError, match="did not come in the order of its files"):
        in_file_order(files, labels[::-1], np.zeros(len(labels), np.float32))
    with pytest.raises(JobError, match="did not come in the order of its files"):
        in_file_order(files, labels[:-1], np.zeros(len(labels) - 1, np.float32))
    longer = [replace(files[0], row_groups=(*files[0].row_groups, 1)), *files[1:]]
    with pytest.raises(JobError, match="did not come in the order of its files"):
        in_file_order(longer, labels, np.zeros(len(labels), np.float32))


def test_of_a_patch_with_a_margin_the_middle_is_judged(written: WrittenTable) -> None:
    table = open_table(written.uri)
    found = split_predictions(brightness_model(WINDOW - 12), SplitStream(table, "validation", WINDOW, 16))
    images = [
        simplejpeg.decode_jpeg(image)
        for file in table.labeled("validation")
        for image in pq.ParquetFile(file.path).read(["image_0"])["image_0"].to_pylist()
    ]
    expected = [image[6:-6, 6:-6].mean() / 255 for image in images]
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)
    patches = list(stored_patches(table, "validation", [0, 5]))
    assert np.array_equal(patches[1].decoded(WINDOW - 12)[0], images[5][6:-6, 6:-6])


def test_what_is_drawn_in_training_does_not_count(written: WrittenTable) -> None:
    stream = SplitStream(
        open_table(written.uri), "train", WINDOW, 16, shuffle=Shuffle(5, 32), sampling=ClassThenSlide()
    )
    assert len(split_predictions(brightness_model(), stream).labels) == 93


def test_more_classes_have_a_probability_each(written: WrittenTable) -> None:
    model = brightness_model()
    three = keras.layers.Concatenate()([model.output, model.output * 2, 1 - model.output])
    stream = SplitStream(open_table(written.uri), "validation", WINDOW, 16)
    one = split_predictions(model, stream)
    found = split_predictions(keras.Model(model.input, three), stream)
    expected = np.stack([one.probabilities, 2 * one.probabilities, 1 - one.probabilities], axis=1)
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)
    assert found.slide_ids.tolist() == one.slide_ids.tolist()


def test_a_model_that_answers_no_number_is_not_judged(written: WrittenTable) -> None:
    model = brightness_model()
    model.set_weights([np.full((3, 1), np.nan, np.float32)])
    stream = SplitStream(open_table(written.uri), "validation", WINDOW, 16)
    with pytest.raises(JobError, match="answers 43 of 43 patches of the split validation with no number"):
        split_predictions(model, stream)


def test_thresholds_are_chosen_on_validation_and_hold_for_test(make_table: Callable[..., WrittenTable]) -> None:
    written = make_table({**SLIDES, ("test", "tumor_04"): {0: 9, 1: 8}, ("test", "normal_04"): {0: 5}})
    table, recipe = open_table(written.uri), tiny_recipe()
    assert judged_splits(table) == ["validation", "test"]
    scored = {
        split: split_predictions(brightness_model(), SplitStream(table, split, WINDOW, 16))
        for split in judged_splits(table)
    }
    metrics, findings = judging_of(recipe, scored["validation"]).judged("By hand", scored)
    assert {split: it.patches for split, it in metrics.items()} == {"validation": 43, "test": 22}
    assert [line.split(",")[:4] for line in findings.slides.splitlines()[2:]] == [
        ["normal_04", "test", "5", "0"],
        ["tumor_04", "test", "17", "8"],
    ]
    assert metrics["test"].threshold == metrics["validation"].threshold
    values = sorted(value for _, label, value in by_reading(table, "validation") if label == 1)
    at_target = findings.values["test"]["at_target_sensitivity"]["threshold"]
    assert at_target == pytest.approx(values[1], abs=1e-7)  # 21 of 22 is 0.955, 20 would be 0.909
