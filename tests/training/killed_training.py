"""`histospark train` with a tiny core, which notes the rows of each step and kills itself where it is told to.

python -m tests.training.killed_training PLACE NOTES ARGUMENTS…

PLACE is a key of `PLACES`; NOTES gets a line of JSON for each step.
"""

import hashlib
import json
import os
import signal
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from cluster.entry import run_command
from tests.training.tiny_core import tiny_core
from training import checkpoint, job
from training.callbacks import KeepBest
from training.fit import fit


def tiny(*_: Any, **__: Any) -> keras.Model:
    return tiny_core()


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Place(keras.callbacks.Callback):
    """Comes after all other callbacks, and dies at one moment.

    Args:
        moment: method of a callback.
        epoch, batch: from 0, those of the process.
    """

    def __init__(self, moment: str = "", epoch: int = 0, batch: int = 0) -> None:
        super().__init__()
        self.moment, self.wanted = moment, (epoch, batch)
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        if self.moment == "step" and (self.epoch, batch) == self.wanted:
            die()

    def on_test_end(self, logs: Any = None) -> None:  # noqa: ARG002
        if self.moment == "validated" and self.epoch == self.wanted[0]:
            die()


PLACES = {
    "nowhere": Place(),
    "first step": Place("step", 0, 0),
    "within an epoch": Place("step", 0, 3),
    "after validation": Place("validated", 0),
    "before the model is saved": Place(),
    "first checkpoint of the second stage": Place(),
}


@contextmanager
def watched(place: str, notes: Path) -> Iterator[None]:
    """Let `histospark train` run like that."""
    killer = PLACES[place]

    def noted_fit(model: keras.Model, *arguments: Any, callbacks: Sequence[Any] = (), **named: Any) -> Any:
        note_rows(model, killer, notes)
        return fit(model, *arguments, callbacks=[*callbacks, killer], **named)

    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(job, "core_model", side_effect=tiny))
        patches.enter_context(mock.patch.object(job, "fit", noted_fit))
        if place == "before the model is saved":
            patches.enter_context(mock.patch.object(KeepBest, "save", die))
        if place == "first checkpoint of the second stage":
            patches.enter_context(mock.patch.object(checkpoint, "write_group", partial(die_half_way, killer)))
        yield


def note_rows(model: keras.Model, killer: Place, notes: Path) -> None:
    """Write down which rows of weight 1 each step of a model is given: digests of their pixels."""
    step = model.train_step

    def note(pixels: np.ndarray, weight: np.ndarray) -> np.int64:
        rows = [hashlib.md5(row.tobytes()).hexdigest()[:12] for row in pixels[weight[:, 0] > 0]]
        with notes.open("a") as file:
            file.write(json.dumps([killer.epoch, rows]) + "\n")
        return np.int64(len(rows))

    def noted(data: Any) -> Any:
        with tf.control_dependencies([tf.numpy_function(note, [data[0]["scale_0"], data[2]], tf.int64)]):
            return step(data)

    model.train_step = noted


def die_half_way(killer: Place, archive: zipfile.ZipFile, group: str, variables: Any, strategy: Any) -> None:
    write = sys.modules["training.variable_files"].write_group
    if killer.epoch == 2:
        write(archive, group, variables[:3], strategy)
        archive.fp.flush()
        die()
    write(archive, group, variables, strategy)


if __name__ == "__main__":
    with watched(sys.argv[1], Path(sys.argv[2])):
        sys.exit(run_command(job.train, sys.argv[3:]))
