"""Trains a stage of a tiny core on N replicas and prints its weights as JSON; a program, as devices are cut once.

python -m tests.training.replica_stages TRAINING_JSON REPLICAS
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

training_json, replicas = sys.argv[1:]
settings = Training.model_validate_json(training_json)
(stage,) = settings.stages
strategy = mirrored(int(replicas), settings.batch_size)
keras.utils.set_random_seed(1)
with strategy.scope():
    core = tiny_core(1, SIDE)
steps = ROWS // settings.batch_size
compile_stage(core, core, stage, settings, steps)
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (ROWS, SIDE, SIDE, 3)).astype(np.float32)
labels = rng.integers(0, 2, (ROWS, 1)).astype(np.float32)
batches = tf.data.Dataset.from_tensor_slices(({"scale_0": images}, labels)).batch(settings.batch_size)
callbacks = [MomentumCycle(momentum_schedule(stage.rate, steps))] if isinstance(stage.rate, OneCycle) else []
core.fit(batches, epochs=1, verbose=0, shuffle=False, callbacks=callbacks)
values = [float(value) for weight in core.get_weights() for value in weight.ravel()]
print(json.dumps({"replicas": strategy.num_replicas_in_sync, "values": values}))
