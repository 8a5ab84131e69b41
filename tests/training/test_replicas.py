"""One replica or two: the same global batch gives the same training."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.errors import UsageError
from tests.conftest import ROOT
from tests.training.tiny_table import WrittenTable, tiny_recipe, write_table
from training.strategy import mirrored

# Float32 sums in another order: the relative difference per step, which training then carries on.
TOLERANCE = 1e-3


def printed(program: str, *arguments: str, replicas: int) -> list[Any]:
    command = [sys.executable, "-m", f"tests.training.{program}", *arguments, str(replicas)]
    run = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=300)
    answer = json.loads(run.stdout.splitlines()[-1])
    assert answer["replicas"] == replicas
    return list(answer["values"])


def losses(table: WrittenTable, replicas: int) -> list[float]:
    return printed("replica_losses", table.uri, table.recipe.model_dump_json(), replicas=replicas)


def test_two_replicas_train_like_one(tmp_path: Path) -> None:
    still = {"orientations": False, "brightness": 0, "saturation": 0, "hue": 0, "contrast": 0}
    # Two towers of Inception V3, the network of the published recipes, from the last blocks on.
    recipe = tiny_recipe(freeze_batch_norm=True, stages=[{"trainable_from": 250}], augmentation=still)
    # 29 rows: the second batch of 16 is filled up, and both replicas still get rows.
    table = write_table(tmp_path, recipe, {("train", "a"): {0: 15, 1: 14}})
    one, two = losses(table, 1), losses(table, 2)
    print(f"losses with one replica {one}, with two {two}")
    assert len(one) == 2
    assert np.allclose(one, two, rtol=TOLERANCE)


SYNCHRONIZED = {"synchronize_batch_norm": True, "stages": [{"rate": {"kind": "constant", "value": 0.01}}]}
STATISTICS = {**SYNCHRONIZED, "synchronize_batch_norm": False}
HALF = {**SYNCHRONIZED, "precision": "float16"}
OPTIMIZERS = ("sgd", "adamw", "rmsprop")


def ruled(name: str) -> dict[str, object]:
    stage = {
        "optimizer": {"name": name},
        "rate": {"kind": "one_cycle", "peak": 0.01},
        "group_rates": [0.1, 1],
        "clip_norm": 0.05,
    }
    return {"freeze_batch_norm": True, "stages": [stage]}


@pytest.fixture(scope="module")
def trained() -> dict[str, list[dict[str, list[float]]]]:
    """Losses and weights with one replica and with two, by name of the settings."""
    settings = {"synchronized": SYNCHRONIZED, "statistics": STATISTICS, "half": HALF} | {
        name: ruled(name) for name in OPTIMIZERS
    }
    both = json.dumps([{"batch_size": 16, **training} for training in settings.values()])
    one, two = (printed("replica_stages", both, replicas=replicas) for replicas in (1, 2))
    return {name: [first, second] for name, first, second in zip(settings, one, two, strict=True)}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_clipping_group_rates_decay_and_moving_momentum_do_not_depend_on_the_replicas(
    name: str, trained: dict[str, list[dict[str, list[float]]]]
) -> None:
    """Clipped by each replica alone, two halves of a batch would make another step than the whole."""
    one, two = trained[name]
    assert np.allclose(one["weights"], two["weights"], rtol=TOLERANCE, atol=1e-5)


def test_with_synchronized_batch_norm_two_replicas_train_like_one(
    trained: dict[str, list[dict[str, list[float]]]],
) -> None:
    one, two = trained["synchronized"]
    print(f"losses {one['losses']} and {two['losses']}")
    assert np.allclose(one["losses"], two["losses"], rtol=TOLERANCE)
    assert np.allclose(one["weights"], two["weights"], rtol=TOLERANCE, atol=1e-4)  # the running statistics, too
    alone, apart = trained["statistics"]
    print(f"not synchronized: {alone['losses']} and {apart['losses']}")
    assert np.allclose(alone["losses"], one["losses"], rtol=1e-4)
    assert not np.allclose(alone["losses"], apart["losses"], rtol=10 * TOLERANCE)


def test_two_replicas_train_like_one_in_float16(trained: dict[str, list[dict[str, list[float]]]]) -> None:
    one, two = trained["half"]
    print(f"losses {one['losses']} and {two['losses']}")
    assert np.allclose(one["losses"], two["losses"], rtol=1e-2)
    assert np.allclose(one["losses"], trained["synchronized"][0]["losses"], rtol=1e-2)


def test_an_overflow_on_one_replica_skips_the_step_of_all() -> None:
    """The gradients are 1 + 2, then too large on the second replica, then 1 + 2 at half the scale."""
    run = printed("replica_overflow", replicas=2)
    assert run == [[8, 1, 7, 7], [4, 1, 7, 7], [4, 2, 4, 4]]


def test_xla_with_several_replicas_is_refused() -> None:
    with pytest.raises(UsageError, match=r"training\.xla compiles the step of one replica, and 2 were asked for"):
        mirrored(2, 16, xla=True)


def test_a_batch_that_replicas_cannot_share_is_refused() -> None:
    with pytest.raises(UsageError, match="batch_size 16 cannot be shared evenly by 3 replicas"):
        mirrored(3, 16)
