"""Augmentation on replicas: each makes draws of its own, the first one those of a run without replicas."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
from keras import ops

from training.augmentation import PatchAugmentation
from training.draws import ReplicaDraws


def drawn() -> list[list[float]]:
    """Brightness of two patches: step 1 on replica 1 and 2, step 2 on replica 1 and 2."""
    program = Path(__file__).with_name("replica_draws.py")
    run = subprocess.run([sys.executable, str(program)], check=True, capture_output=True, text=True, timeout=300)
    return list(json.loads(run.stdout.splitlines()[-1]))


def test_replicas_draw_differently_and_the_same_in_every_run() -> None:
    values = drawn()
    assert len(np.unique(np.round(values, 3))) == 8
    assert drawn() == values
    alone = PatchAugmentation(orientations=False, brightness=0.2, seed=3)
    gray = np.full((2, 2, 2, 3), 128, np.float32)
    for first in (values[0], values[2]):
        out = ops.convert_to_numpy(alone([gray], training=True)[0])[:, 0, 0, 0]
        assert np.allclose(out, first, atol=1e-3)


def test_without_replicas_the_draws_are_those_of_keras() -> None:
    ours, plain = ReplicaDraws(7), keras.random.SeedGenerator(7)
    for _ in range(3):
        one, other = (ops.convert_to_numpy(keras.random.uniform((4,), seed=seed)) for seed in (ours, plain))
        assert np.array_equal(one, other)
