"""One replica or two: the same global batch gives the same training."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cluster.errors import UsageError
from preprocessing.recipe import Training
from tests.conftest import ROOT
from tests.training.tiny_table import WrittenTable, tiny_recipe, write_table
from training.strategy import mirrored

# Float32 sums in another order: the relative difference per step, which training then carries on.
TOLERANCE = 1e-3


def printed(program: str, *arguments: str, replicas: int) -> list[float]:
    command = [sys.executable, "-m", f"tests.training.{program}", *arguments, str(replicas)]
    run = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=300)
    answer = json.loads(run.stdout.splitlines()[-1])
    assert answer["replicas"] == replicas
    return list(answer["values"])


def losses(table: WrittenTable, replicas: int) -> list[float]:
    return printed("replica_losses", table.uri, table.recipe.model_dump_json(), replicas=replicas)


def test_two_replicas_train_like_one(tmp_path: Path) -> None:
    still = {"orientations": False, "brightness": 0, "saturation": 0, "hue": 0, "contrast": 0}
    recipe = tiny_recipe(freeze_batch_norm=True, stages=[{"trainable_from": 250}], augmentation=still)
    # 29 rows: the second batch of 16 is filled up, and both replicas still get rows.
    table = write_table(tmp_path, recipe, {("train", "a"): {0: 15, 1: 14}})
    one, two = losses(table, 1), losses(table, 2)
    print(f"losses with one replica {one}, with two {two}")
    assert len(one) == 2
    assert np.allclose(one, two, rtol=TOLERANCE)


@pytest.mark.parametrize("name", ["sgd", "adamw", "rmsprop"])
def test_clipping_group_rates_decay_and_moving_momentum_do_not_depend_on_the_replicas(name: str) -> None:
    """Clipped by each replica alone, two halves of a batch would make another step than the whole."""
    stage = {
        "optimizer": {"name": name},
        "rate": {"kind": "one_cycle", "peak": 0.01},
        "group_rates": [0.1, 1],
        "clip_norm": 0.05,
    }
    training = Training.model_validate({"freeze_batch_norm": True, "batch_size": 16, "stages": [stage]})
    one, two = (printed("replica_stages", training.model_dump_json(), replicas=replicas) for replicas in (1, 2))
    assert np.allclose(one, two, rtol=TOLERANCE, atol=1e-5)


def test_a_batch_that_replicas_cannot_share_is_refused() -> None:
    with pytest.raises(UsageError, match="batch_size 16 cannot be shared evenly by 3 replicas"):
        mirrored(3, 16)
