"""On two replicas a broken-off training goes on with what each of them had: statistics, metrics, draws."""

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.training.tiny_table import WrittenTable, tiny_recipe

STAGES = [{"epochs": 2, "optimizer": {"name": "sgd", "momentum": 0.9}, "rate": {"kind": "constant", "value": 1e-2}}]


def test_two_replicas_go_on_as_if_nothing_had_happened(written: WrittenTable, tmp_path: Path) -> None:
    """Batch norm is not synchronized, so each replica has statistics of its own; two addends have one sum."""
    recipe = tiny_recipe(stages=STAGES, checkpoint_minutes=0)
    command = [sys.executable, "-m", "tests.training.replica_resume", written.uri, recipe.model_dump_json(), "2"]
    said = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "broken off" in said.stderr
    assert "going on in epoch 2 of 2 after batch 4" in said.stdout
    found = json.loads(said.stdout.splitlines()[-1])
    assert (found["replicas"], found["values"]) == (2, 2 * 27)
    assert found["weights"] == 0
    assert found["metrics"] == 0
