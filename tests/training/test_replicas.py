"""One replica or two: the same global batch gives the same training."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cluster.errors import UsageError
from tests.training.tiny_table import WrittenTable, tiny_recipe, write_table
from training.strategy import mirrored

# Float32 sums in another order: the relative difference per step, which training then carries on.
TOLERANCE = 1e-3


def losses(table: WrittenTable, replicas: int) -> list[float]:
    program = Path(__file__).with_name("replica_losses.py")
    arguments = [table.uri, table.recipe.model_dump_json(), str(replicas)]
    run = subprocess.run(
        [sys.executable, str(program), *arguments], check=True, capture_output=True, text=True, timeout=300
    )
    printed = json.loads(run.stdout.splitlines()[-1])
    assert printed["replicas"] == replicas
    return list(printed["losses"])


def test_two_replicas_train_like_one(tmp_path: Path) -> None:
    still = {"orientations": False, "brightness": 0, "saturation": 0, "hue": 0, "contrast": 0}
    recipe = tiny_recipe(freeze_batch_norm=True, trainable_from=250, learning_rate=1e-4, augmentation=still)
    # 29 rows: the second batch of 16 is filled up, and both replicas still get rows.
    table = write_table(tmp_path, recipe, {("train", "a"): {0: 15, 1: 14}})
    one, two = losses(table, 1), losses(table, 2)
    print(f"losses with one replica {one}, with two {two}")
    assert len(one) == 2
    assert np.allclose(one, two, rtol=TOLERANCE)


def test_a_batch_that_replicas_cannot_share_is_refused() -> None:
    with pytest.raises(UsageError, match="batch_size 16 cannot be shared evenly by 3 replicas"):
        mirrored(3, 16)
