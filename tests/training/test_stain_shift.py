"""What is said of other stains is what the model answers on patches that were recolored by hand."""

from collections.abc import Callable

import keras
import numpy as np
import pyarrow.parquet as pq
import pytest
import simplejpeg

from tests.training.scored import scored
from tests.training.tiny_table import WINDOW, WrittenTable, tiny_recipe
from training.metrics import Thresholds
from training.stain_shift import SHIFTS, Robustness, StainShift, chosen_rows, color_robustness, shifted_patches
from training.table import PatchTable, open_table
from training.two_classes import TwoClasses

HEMATOXYLIN, EOSIN, DAB = (0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78)


def judging(threshold: float) -> TwoClasses:
    return TwoClasses(tiny_recipe().classes, Thresholds(threshold, threshold, 0.95), 1)


def dark_model(gain: float) -> keras.Model:
    """The darker both scales, the likelier tumor; `gain` 0 looks at nothing."""
    inputs = {f"scale_{scale}": keras.Input((WINDOW, WINDOW, 3), name=f"scale_{scale}") for scale in range(2)}
    means = [keras.layers.GlobalAveragePooling2D()(pixels) for pixels in inputs.values()]
    last = keras.layers.Dense(1, activation="sigmoid")
    model = keras.Model(inputs, last(keras.layers.Concatenate()(means)))
    last.set_weights([np.full((6, 1), -gain / 6, np.float32), np.full(1, 180 * gain, np.float32)])
    return model


def by_hand(pixels: np.ndarray, shift: StainShift) -> np.ndarray:
    """Taken apart into three stains, changed, and put together again (Ruifrok and Johnston 2001)."""
    mixing = np.array([HEMATOXYLIN, EOSIN, DAB])
    stains = -np.log10(np.maximum(pixels.astype(np.float64), 1) / 255) @ np.linalg.inv(mixing)
    changed = stains * (1 + np.array([shift.hematoxylin, shift.eosin, 0])) + np.array([shift.added, shift.added, 0])
    return np.clip(255 * 10 ** -(changed @ mixing), 0, 255)


def read_all(table: PatchTable, split: str) -> list[tuple[str, int, int, np.ndarray, np.ndarray]]:
    """Slide, label, id and both images of every row, file by file."""
    rows = []
    for file in table.labeled(split):
        columns = pq.ParquetFile(file.path).read(["patch_id", "image_0", "image_1"]).to_pylist()
        where = (file.partition.slide_id, file.partition.label)
        for row in columns:
            images = [simplejpeg.decode_jpeg(row[name]).astype(np.float64) for name in ("image_0", "image_1")]
            rows.append((*where, row["patch_id"], *images))
    return rows


@pytest.mark.parametrize("shift", SHIFTS, ids=lambda shift: shift.name)
def test_a_shift_changes_the_amounts_of_stain(shift: StainShift) -> None:
    pixels = np.random.default_rng(1).integers(1, 256, (3, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(shifted_patches(pixels, shift), by_hand(pixels, shift), atol=0.02)


def test_every_measure_is_that_of_the_recolored_patches(written: WrittenTable) -> None:
    table = open_table(written.uri)
    rows = read_all(table, "train")
    answers = _answers(rows, StainShift("")).values()
    judge = judging(float(np.median([answer for pairs in answers for label, answer in pairs if label == 1])) + 1e-4)
    found = color_robustness(dark_model(0.05), table, "train", judge, WINDOW, batch_size=16)
    assert (found.patches, found.slides) == (len(rows), 3)
    for shift, measures in [(StainShift(""), found.unshifted), *found.shifted]:
        expected = judge.summary(scored(_answers(rows, shift)))
        assert measures == pytest.approx(expected, abs=1e-6)
    assert 0.3 < found.unshifted["sensitivity"] < 0.7
    assert found.shifted[0][1]["sensitivity"] < 0.2
    assert found.shifted[3][1]["sensitivity"] > 0.8


def _answers(rows: list, shift: StainShift) -> dict[str, list[tuple[int, float]]]:
    """Label and answer of each patch, by slide."""
    found: dict[str, list[tuple[int, float]]] = {}
    for slide, label, _, *images in rows:
        darkness = 180 - sum(by_hand(image, shift).mean() for image in images) / 2
        found.setdefault(slide, []).append((label, 1 / (1 + np.exp(-0.05 * darkness))))
    return found


def test_a_model_that_looks_at_nothing_bears_every_stain(written: WrittenTable) -> None:
    found = color_robustness(dark_model(0), open_table(written.uri), "validation", judging(0.4), WINDOW, 16)
    assert all(measures == found.unshifted for _, measures in found.shifted)
    assert found.unshifted["auc"] == 0.5
    assert found.as_json()["worst"]["auc"] == {"shift": SHIFTS[0].name, "value": 0.5, "change": 0}


def test_the_worst_shift_is_named_for_each_measure() -> None:
    values = [{"auc": 0.9, "accuracy": 0.8}, {"auc": 0.7, "accuracy": 0.8}, {"auc": 0.8, "accuracy": 0.5}]
    found = Robustness("test", 10, 2, {"auc": 0.95, "accuracy": 0.9}, tuple(zip(SHIFTS[:3], values, strict=True)))
    assert found.worst("auc") == (SHIFTS[1], 0.7)
    assert found.worst("accuracy") == (SHIFTS[2], 0.5)
    worst = found.as_json()["worst"]["accuracy"]
    assert (worst["shift"], worst["value"], worst["change"]) == (SHIFTS[2].name, 0.5, pytest.approx(-0.4))


def test_slides_and_classes_give_as_many_patches_as_any_other(make_table: Callable[..., WrittenTable]) -> None:
    written = make_table({("test", "a"): {0: 30, 1: 4}, ("test", "b"): {0: 12}, ("train", "c"): {0: 5, 1: 5}})
    table = open_table(written.uri)
    rows = read_all(table, "test")
    chosen = chosen_rows(table, "test", patches=30)
    expected = {}
    for slide, label in (("a", 0), ("a", 1), ("b", 0)):
        expected[slide, label] = sorted(row[2] for row in rows if row[:2] == (slide, label))[:10]
    found = {key: sorted(rows[place][2] for place in chosen if rows[place][:2] == key) for key in expected}
    assert found == expected
    assert len(chosen) == 10 + 4 + 10
    assert len(chosen_rows(table, "test", patches=3)) == 8 + 4 + 8  # never fewer than these
