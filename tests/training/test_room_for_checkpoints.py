"""A disk without room is noticed before the first step; one that fills up later costs little."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest

from cluster.errors import JobError, UsageError
from tests.training.test_checkpoints import files_of_at_most, streams
from tests.training.tiny_core import tiny_core
from tests.training.tiny_table import WrittenTable, tiny_recipe
from training.epochs import Epoch
from training.fit import fit
from training.job import writable_folder
from training.models import training_model
from training.room import largest_checkpoint
from training.strategy import mirrored

STAGES = [
    {"epochs": 1, "trainable_from": "head", "rate": {"kind": "constant", "value": 1e-3}},
    {"epochs": 2, "rate": {"kind": "constant", "value": 1e-3}},
]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted here: this needs root")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)  # TensorBoard's file of a failed training is open


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


def trained(table: WrittenTable, out: Path, *callbacks: keras.callbacks.Callback, minutes: float = 10) -> list[Epoch]:
    recipe = tiny_recipe(stages=STAGES, checkpoint_minutes=minutes)
    with mirrored(1, 16).scope():
        core = tiny_core()
        model = training_model(core, recipe)
    return fit(model, core, *streams(table, recipe), recipe.training, out, callbacks=callbacks)


class AfterEpoch(keras.callbacks.Callback):
    """Calls something once the first epoch is trained and validated, before it is saved."""

    def __init__(self, call: Any) -> None:
        super().__init__()
        self.call = call
        self.steps = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.steps += 1

    def on_test_end(self, logs: Any = None) -> None:  # noqa: ARG002
        self.call()


def test_disk_that_is_too_small_is_noticed_before_the_first_step(written: WrittenTable, disk: Path) -> None:
    seen = AfterEpoch(lambda: None)
    with pytest.raises(UsageError) as caught:
        trained(written, disk, seen)
    assert str(caught.value).startswith(f"{disk} has 1 MB free, and this training needs up to 34 MB (3 checkpoints of")
    assert str(caught.value).endswith("free some, or give another --out")
    assert seen.steps == 0
    assert list(disk.iterdir()) == []


def test_first_checkpoint_proves_that_it_can_be_written(written: WrittenTable, tmp_path: Path) -> None:
    """A quota is not seen in the free space of a disk."""
    seen = AfterEpoch(lambda: None)
    with (
        files_of_at_most(10_000),
        pytest.raises(UsageError, match=r"no step was made: .*checkpoints could not be"),
    ):
        trained(written, tmp_path, seen)
    assert seen.steps == 0
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_disk_that_fills_up_ends_the_training_where_it_goes_on(
    written: WrittenTable, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remount(disk, "size=64m")
    filler = disk / "filler"

    def fill() -> None:
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(2**26))

    with pytest.raises(JobError) as caught:
        trained(written, disk / "out", AfterEpoch(fill))
    assert str(caught.value) == (
        f"{disk}/out/checkpoints could not be written (No space left on device): free space there, or make it "
        "writable, and start again; the training goes on from its last checkpoint"
    )
    filler.unlink()
    capsys.readouterr()
    epochs = trained(written, disk / "out")
    assert [epoch.number for epoch in epochs] == [1, 2, 3]
    assert capsys.readouterr().out.startswith("going on in epoch 1 of 3 (")
    assert (disk / "out" / "model.keras").exists()


def test_folder_that_may_only_be_read_is_refused(disk: Path) -> None:
    remount(disk, "ro")
    with pytest.raises(UsageError, match=r"cannot be written \(Read-only file system\)"):
        writable_folder(str(disk / "out"))


def test_best_model_that_was_removed_is_told(written: WrittenTable, tmp_path: Path) -> None:
    """Within the second epoch: the model of the first one is nowhere else."""

    def stop(batch: int, logs: Any = None) -> None:  # noqa: ARG001
        if batch == 3 and (tmp_path / "model.keras").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(written, tmp_path, keras.callbacks.LambdaCallback(on_train_batch_end=stop), minutes=0)
    model = (tmp_path / "model.keras").rename(tmp_path / "away.keras")
    with pytest.raises(
        UsageError, match=r"model\.keras is gone, the model of epoch 1 and the best so far: put it back"
    ):
        trained(written, tmp_path)
    model.rename(tmp_path / "model.keras")
    assert len(trained(written, tmp_path)) == 3


def test_room_is_counted_for_the_stage_that_needs_most() -> None:
    """Adam keeps two values per trained weight, besides the weights; seed and statistics are counted, too."""
    recipe = tiny_recipe(stages=STAGES)
    core = tiny_core()
    model = training_model(core, recipe)
    trained_weights = sum(variable.numpy().size for variable in core.trainable_variables)
    statistics = 2 * 2 * 2 * 4  # mean and variance, two batch norms in each of two towers, four channels
    assert largest_checkpoint(model, core, recipe.training) == 4 * (3 * trained_weights + statistics) + 2 * 8
