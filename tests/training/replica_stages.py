"""Trains a stage of a tiny core on N replicas, for each of some settings; a program, as devices are cut once.

It prints losses and weights as JSON. python -m tests.training.replica_stages TRAININGS_JSON REPLICAS
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from preprocessing.recipe import Training
from preprocessing.training_settings import OneCycle
from tests.training.tiny_core import tiny_core
from training.optimizers import MomentumCycle
from training.schedules import momentum_schedule
from training.stages import compile_stage
from training.strategy import mirrored

SIDE, ROWS = 32, 64

trainings_json, replicas = sys.argv[1:]
trainings = [Training.model_validate(settings) for settings in json.loads(trainings_json)]
strategy = mirrored(int(replicas), trainings[0].batch_size)


class Losses(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        self.model.reset_metrics()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        self.values.append((logs or {})["loss"])


def trained(settings: Training) -> dict[str, list[float]]:
    (stage,) = settings.stages
    keras.utils.set_random_seed(1)
    with strategy.scope():
        core = tiny_core(1, SIDE, precision=settings.precision, synchronized=settings.synchronize_batch_norm)
    steps = ROWS // settings.batch_size
    compile_stage(core, core, stage, settings, steps)
    rng = np.random.default_rng(0)
    # Uneven in brightness, so that the two halves of a batch have statistics of their own.
    images = rng.integers(0, 256, (ROWS, SIDE, SIDE, 3)) * rng.uniform(0.2, 1, (ROWS, 1, 1, 1))
    labels = rng.integers(0, 2, (ROWS, 1)).astype(np.float32)
    rows = tf.data.Dataset.from_tensor_slices(({"scale_0": images.astype(np.float32)}, labels))
    losses = Losses()
    callbacks: list[keras.callbacks.Callback] = [losses]
    if isinstance(stage.rate, OneCycle):
        callbacks.append(MomentumCycle(momentum_schedule(stage.rate, steps)))
    core.fit(rows.batch(settings.batch_size), epochs=1, verbose=0, shuffle=False, callbacks=callbacks)
    weights = [float(value) for weight in core.get_weights() for value in weight.ravel()]
    return {"losses": losses.values, "weights": weights}


print(json.dumps({"replicas": strategy.num_replicas_in_sync, "values": [trained(settings) for settings in trainings]}))
