"""Augments one gray patch on each of two replicas, and prints the brightness of all as JSON; a program of its own.

python replica_draws.py
"""

import json

import numpy as np
import tensorflow as tf

from training.augmentation import PatchAugmentation
from training.strategy import mirrored

strategy = mirrored(2, 2)
with strategy.scope():
    layer = PatchAugmentation(orientations=False, brightness=0.2, seed=3)


@tf.function
def step() -> object:
    return strategy.run(lambda: layer([tf.fill((2, 2, 2, 3), 128.0)], training=True)[0])


gray = [np.asarray(part)[:, 0, 0, 0].tolist() for _ in range(2) for part in strategy.experimental_local_results(step())]
print(json.dumps(gray))
