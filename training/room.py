"""Whether the disk has room for what a training is going to write."""

import shutil
from pathlib import Path
from typing import Final

import keras

from cluster.errors import UsageError
from preprocessing.recipe import Training
from preprocessing.training_settings import SGD
from training.checkpoint import KEPT
from training.stages import set_trainable
from training.variable_files import group_bytes

_REPORT: Final = 32 * 2**20
"""For report, card, figures, logs and the lock, bytes."""


def check_room(out: Path, model: keras.Model, core: keras.Model, training: Training) -> None:
    """Compare free space with what the training needs: checkpoints, the model twice, and a margin.

    While one is written there is one checkpoint, and one model, more than are kept. What an earlier run of the same
    training left counts as free, as it will be replaced.

    Raises:
        UsageError: there is too little.
    """
    checkpoint = largest_checkpoint(model, core, training)
    needed = (KEPT + 1) * checkpoint + 2 * group_bytes(core.variables) + _REPORT
    out.mkdir(parents=True, exist_ok=True)
    old = [*(out / "checkpoints").glob("*.npz"), *out.glob("*.keras")]
    free = shutil.disk_usage(out).free + sum(file.stat().st_size for file in old)
    if free < needed:
        raise UsageError(
            f"{out} has {free / 1e6:,.0f} MB free, and this training needs up to {needed / 1e6:,.0f} MB ({KEPT + 1} "
            f"checkpoints of {checkpoint / 1e6:,.0f} MB, the model twice, the report): free some, or give another --out"
        )


def largest_checkpoint(model: keras.Model, core: keras.Model, training: Training) -> int:
    """Bytes of the variables in the largest checkpoint of all stages; it changes what is trainable."""
    largest = 0
    for stage in training.stages:
        set_trainable(core, stage, training.freeze_batch_norm)
        slots = 1 if isinstance(stage.optimizer, SGD) else 2  # values that the optimizer keeps per trained weight
        largest = max(largest, slots * group_bytes(core.trainable_variables))
    return largest + group_bytes(model.variables)
