"""Lets the gradient overflow on the second of two replicas alone; a program, as devices are cut only once.

It prints scale, count of steps and weight after each step as JSON. python -m tests.training.replica_overflow
"""

import json

import keras
import numpy as np
import tensorflow as tf

from preprocessing.training_settings import SGD, Constant, Stage
from training.optimizers import stage_optimizer
from training.precision import LossScale
from training.schedules import rate_schedule
from training.strategy import mirrored

strategy = mirrored(2, 2)
stage = Stage(optimizer=SGD(momentum=0), rate=Constant(value=1.0), clip_norm=100.0)
with strategy.scope():
    weight = keras.Variable([[10.0]])
    optimizer = LossScale(stage_optimizer(stage, rate_schedule(stage, 3, 2), (1.0,)), initial_scale=8.0)
    optimizer.build([weight])


@tf.function
def step(ours: tf.Tensor, others: tf.Tensor) -> None:
    def replica() -> None:
        first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
        optimizer.apply([tf.where(first, ours, others)], [weight])

    strategy.run(replica)


states = []
for ours, others in ((8.0, 16.0), (8.0, np.inf), (4.0, 8.0)):
    step(tf.constant([[ours]]), tf.constant([[others]]))
    copies = strategy.experimental_local_results(weight.value)
    scale, steps = (keras.ops.convert_to_numpy(value) for value in (optimizer.dynamic_scale, optimizer.iterations))
    states.append([float(scale), int(steps), *(float(copy.numpy()[0, 0]) for copy in copies)])
print(json.dumps({"replicas": 2, "values": states}))
