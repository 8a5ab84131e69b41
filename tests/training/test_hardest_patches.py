"""The patches of the highest loss are those that sorting all of them gives, each with its own place and picture."""

import json

import keras
import numpy as np
import pyarrow.parquet as pq
import simplejpeg

from tests.training.looking_core import looking_core
from tests.training.tiny_table import WINDOW, WrittenTable, tiny_recipe
from training.chosen_patches import patch_ids, stored_patches
from training.evaluation import split_predictions
from training.hardest import hardest_patches, highest_losses
from training.metrics import Thresholds
from training.stream import SplitStream
from training.table import open_table
from training.two_classes import TwoClasses


def test_highest_losses_are_those_of_sorting_everything() -> None:
    rng = np.random.default_rng(2)
    losses, labels = rng.integers(0, 9, 200) / 8, rng.integers(0, 3, 200).astype(np.int32)
    ids = rng.permutation(200).astype(np.int64) - 100
    found = highest_losses(losses, labels, ids, per_class=12)
    by_sorting = []
    for label in range(3):
        mine = [row for row in range(200) if labels[row] == label]
        by_sorting += sorted(mine, key=lambda row: (-losses[row], ids[row]))[:12]
    assert found.tolist() == by_sorting


def test_a_class_with_few_patches_gives_all() -> None:
    found = highest_losses(np.array([0.1, 0.2, 0.3]), np.array([1, 0, 1], np.int32), np.arange(3), per_class=12)
    assert found.tolist() == [1, 2, 0]


def test_single_patches_are_the_rows_of_that_number(written: WrittenTable) -> None:
    table = open_table(written.uri)
    rows = [
        (file.partition.slide_id, file.partition.label, row)
        for file in table.labeled("train")
        for row in pq.ParquetFile(file.path).read(["patch_id", "x", "y", "image_0", "image_1"]).to_pylist()
    ]
    assert patch_ids(table, "train").tolist() == [row["patch_id"] for _, _, row in rows]
    wanted = [92, 0, 41, 7, 8, 40]
    found = list(stored_patches(table, "train", wanted))
    assert [it.row for it in found] == sorted(wanted)
    for it in found:
        slide, label, row = rows[it.row]
        assert (it.slide_id, it.label, it.patch_id, it.x, it.y) == (slide, label, row["patch_id"], row["x"], row["y"])
        assert it.encoded == (row["image_0"], row["image_1"])
        assert np.array_equal(it.decoded(WINDOW)[1], simplejpeg.decode_jpeg(row["image_1"]))


def test_each_hard_patch_has_its_own_loss_place_and_pictures(written: WrittenTable) -> None:
    keras.utils.set_random_seed(1)
    table, core = open_table(written.uri), looking_core()
    scored = split_predictions(core, SplitStream(table, "train", WINDOW, 16))
    threshold = float(np.median(scored.probabilities))
    judging = TwoClasses(tiny_recipe().classes, Thresholds(threshold, threshold, 0.95), 1)
    found = hardest_patches(core, table, "train", scored, judging, WINDOW)
    assert found.layers == ("tower_0: map", "tower_1: map")
    assert [len(found.of_class(label)) for label in (0, 1)] == [12, 12]
    for label in (0, 1):
        losses = [it.loss for it in found.of_class(label)]
        assert losses == sorted(losses, reverse=True)
    for it in found.patches:
        # The loss that was noted is the loss of the very picture that is shown.
        tumor = core.predict_on_batch({f"scale_{k}": image[np.newaxis] for k, image in enumerate(it.images)})[0, 0]
        assert np.isclose(it.loss, -np.log(tumor if it.patch.label == 1 else 1 - tumor), atol=1e-5)
        assert np.isclose(it.given, np.exp(-it.loss))
        assert it.decided == int(tumor >= threshold) or np.isclose(tumor, threshold)
        assert [heatmap.shape for heatmap in it.heatmaps] == [(10, 10), (10, 10)]
        assert json.loads(json.dumps(it.as_json()))["slide_id"] == it.patch.slide_id
