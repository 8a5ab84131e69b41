"""A checkpoint is whole or not there, belongs to one training, and comes back to the last bit."""

import json
import logging
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from cluster.errors import JobError, UsageError
from preprocessing.recipe import Recipe
from tests.training.tiny_table import WINDOW, WrittenTable, tiny_recipe
from training.callbacks import Checkpoints, History, KeepBest, Lines
from training.checkpoint import CheckpointFolder
from training.epochs import Epoch, Position, best_epoch
from training.stream import Shuffle, SplitStream
from training.table import open_table
from training.training_identity import differences, training_identity

ALONE = tf.distribute.get_strategy()
POSITION = Position((Epoch(1, 1, 0.1 + 0.2, 1 / 3, 2 / 3, 0.7, 12.5),), 120, 3.25, 1e-9)


def some_variables(seed: int = 0) -> list[keras.Variable]:
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 5), (), (40, 40))]
    return [
        *(keras.Variable(value, name="kernel") for value in weights),
        keras.Variable(np.array([seed, 2**40 + seed]), dtype="int64", trainable=False),
    ]


def saved(folder: CheckpointFolder, seed: int = 0, batches: int = 120) -> Path:
    return folder.save(replace(POSITION, batches=batches), {"model": some_variables(seed)}, ALONE)


def values(variables: list[keras.Variable]) -> list[np.ndarray]:
    return [variable.numpy() for variable in variables]


def assert_equal(ours: list[keras.Variable], theirs: list[keras.Variable]) -> None:
    for one, other in zip(values(ours), values(theirs), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A limit on the size of files stands for a full disk where none can be mounted."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "checkpoints", {"seed": 1})


def test_position_and_variables_come_back_to_the_last_bit(folder: CheckpointFolder) -> None:
    assert folder.newest() is None
    path = saved(folder, seed=3)
    found = folder.newest()
    assert found is not None
    assert (found.path, found.position) == (path, POSITION)
    fresh = some_variables(seed=4)
    found.restore("model", fresh, ALONE)
    assert_equal(fresh, some_variables(seed=3))


def test_nothing_in_it_is_pickled(folder: CheckpointFolder) -> None:
    with np.load(saved(folder), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files if name != "position.json"}
        assert json.loads(archive["position.json"])["position"]["batches"] == 120
    assert sorted(arrays) == [f"model/0000{index}@0" for index in range(4)]
    assert not any(array.dtype.hasobject for array in arrays.values())


def test_variables_of_another_model_are_refused(folder: CheckpointFolder) -> None:
    saved(folder)
    found = folder.newest()
    assert found is not None
    other = [*some_variables()[:3], keras.Variable(np.zeros((2, 1), np.float32))]
    for variables, reason in ((some_variables()[:2], "4 variables of the model, not 2"), (other, "as int64")):
        with pytest.raises(UsageError, match="is of another model") as caught:
            found.restore("model", variables, ALONE)
        assert reason in str(caught.value)


def test_the_newest_two_are_kept(folder: CheckpointFolder) -> None:
    for batches in (2, 9, 10, 11):
        saved(folder, batches=batches)
    names = [path.name for path in folder.files()]
    assert names == [f"epochs_0001_batches_00000{batches}.npz" for batches in (10, 11)]
    saved(folder, batches=3)  # a run that went on from an older one
    assert [path.name for path in folder.files()] == ["epochs_0001_batches_0000003.npz"]


def test_half_a_checkpoint_is_cleared(folder: CheckpointFolder) -> None:
    path = saved(folder)
    (folder.path / ".partial-epochs_0001_batches_0000130.npz").write_bytes(path.read_bytes()[:100])
    found = folder.newest()
    assert found is not None
    assert [file.name for file in folder.path.iterdir()] == [path.name]


def test_damaged_one_gives_way_to_the_one_before(folder: CheckpointFolder, caplog: pytest.LogCaptureFixture) -> None:
    """Cut at any length, or with any byte changed, it is either refused or still says the same."""
    before = saved(folder, seed=1, batches=100)
    path = saved(folder, seed=2)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    damaged = [whole[:size] for size in rng.integers(0, len(whole), 40)]
    for place in rng.integers(0, len(whole), 150):
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(changed))
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        with caplog.at_level(logging.WARNING):
            found = folder.newest()
        assert found is not None
        fresh = some_variables(seed=5)
        found.restore("model", fresh, ALONE)
        assert_equal(fresh, some_variables(seed=1 if found.path == before else 2))
        refused += found.path == before
    assert refused > 150
    assert f"{path} is damaged (" in caplog.text
    before.write_bytes(b"")
    path.write_bytes(whole[:-30])
    with pytest.raises(UsageError, match=r"no checkpoint in .* can be read: restore one of them, or remove"):
        folder.newest()


def test_failed_write_leaves_the_one_before(folder: CheckpointFolder) -> None:
    path = saved(folder, batches=1)
    with files_of_at_most(1000), pytest.raises(OSError, match="too large"):
        saved(folder, batches=2)
    assert [file.name for file in folder.path.iterdir()] == [path.name]


def test_model_that_cannot_be_written_ends_the_training_in_one_line(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    best = KeepBest(model, model, tmp_path / "model.keras")
    best.on_epoch_end(0, {"val_auc": 0.5, "val_cross_entropy": 1.0})
    before = best.path.read_bytes()
    with files_of_at_most(1000), pytest.raises(JobError, match=r"model\.keras could not be written \(.*start again"):
        best.on_epoch_end(1, {"val_auc": 0.6, "val_cross_entropy": 1.0})
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
    assert best.path.read_bytes() == before


def streams(table: WrittenTable, recipe: Recipe) -> tuple[SplitStream, SplitStream]:
    opened, size = open_table(table.uri), recipe.training.batch_size
    train = SplitStream(opened, "train", WINDOW, size, shuffle=Shuffle(recipe.seed, recipe.training.shuffle_rows))
    return train, SplitStream(opened, "validation", WINDOW, size)


def test_what_changes_nothing_is_no_other_training(written: WrittenTable, tmp_path: Path) -> None:
    recipe, same = tiny_recipe(), tiny_recipe(checkpoint_minutes=3, reader_workers=4, target_sensitivity=0.5)
    one, other = (training_identity(*streams(written, which), which.training) for which in (recipe, same))
    assert differences(json.loads(json.dumps(one)), other) == ""
    copied = tmp_path / "elsewhere"
    os.symlink(written.uri, copied)
    moved = WrittenTable(str(copied), recipe)
    assert differences(one, training_identity(*streams(moved, recipe), recipe.training)) == ""


def test_another_training_is_told_by_its_settings_and_rows(written: WrittenTable, tmp_path: Path) -> None:
    recipe = tiny_recipe()
    train, validation = streams(written, recipe)
    here = training_identity(train, validation, recipe.training)
    longer = tiny_recipe(stages=[{"epochs": 7, "rate": {"kind": "constant", "value": 1e-3}}], share_towers=True)
    fewer = replace(train.table, files=train.table.files[1:])
    there = training_identity(replace(train, table=fewer), replace(validation, table=fewer), longer.training)
    told = differences(there, here)
    assert "training.stages.0.epochs (7 there, 10 here)" in told
    assert "training.stages.0.rate.value (0.001 there, 0.0001 here)" in told
    assert "training.share_towers (True there, False here)" in told
    rows = len(written.ids["train"])
    assert f"rows.train ({rows - train.table.files[0].rows} there, {rows} here)" in differences(
        {**there, "training": here["training"]}, here
    )
    folder = CheckpointFolder(tmp_path, there)
    saved(folder)
    ours = CheckpointFolder(tmp_path, here)
    for asked in (ours.newest, ours.refuse_other):
        with pytest.raises(UsageError, match=r"another training: .*; give another --out, or remove that folder"):
            asked()


def test_best_epoch_has_the_highest_auc_then_the_lowest_loss_then_comes_first() -> None:
    seen = ((1, 0.5, 0.1), (2, 0.9, 0.5), (3, 0.9, 0.3), (4, 0.9, 0.3), (5, 0.2, 0.0))
    best = best_epoch([Epoch(number, 1, 0, 0, loss, auc, 1) for number, auc, loss in seen])
    assert best is not None
    assert best.number == 3
    assert best_epoch([]) is None


def test_long_epochs_tell_how_far_they_are(written: WrittenTable, capsys: pytest.CaptureFixture[str]) -> None:
    """Five steps of 4 patches in 40 s, after 3 steps that an earlier run has made."""
    train, _ = streams(written, tiny_recipe())
    train.batch_size, train.first_batch = 4, 3
    now = 0.0
    lines = Lines(History(train, POSITION), total=9, clock=lambda: now)
    lines.on_epoch_begin(1)
    for batch in range(6):
        now += 8
        lines.on_train_batch_end(batch)
    assert capsys.readouterr().out == "epoch 2/9: 7 of 24 steps, 0 patches/s, 2.3 min left in this epoch\n"


def test_checkpoint_is_due_by_the_clock_and_never_at_the_last_step(
    written: WrittenTable, folder: CheckpointFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes 40 s here, and 2 minutes of work may be lost: due after steps 3 and 6, of which the last is not."""
    train, _ = streams(written, tiny_recipe())
    due = Checkpoints(folder, History(train, Position()), minutes=2)
    written_at: list[int] = []
    monkeypatch.setattr(CheckpointFolder, "save", lambda _, position, *__: written_at.append(position.batches))
    clock = iter(range(0, 4000, 20))
    monkeypatch.setattr("training.callbacks.time.monotonic", lambda: float(next(clock)))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    due.set_model(model)
    due.on_epoch_begin(0)
    for batch in range(train.steps):
        due.on_train_batch_end(batch)
    due.on_epoch_end(0)
    assert written_at[0] == written_at[-1] == 0
    assert train.steps not in written_at
    assert 0 < len(written_at[1:-1]) < train.steps - 1
