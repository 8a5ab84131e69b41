"""Hashes are the same in every process, on every machine and for ever: tables of last year must still agree."""

import subprocess
import sys

import numpy as np

from preprocessing.hashing import patch_ids, stable_hash
from tests import reference


def test_values_of_today_are_the_values_of_tomorrow() -> None:
    assert stable_hash("slide", 7) == 5423913497193573026
    xy = np.array([[0, 0], [200, 400], [98_000, 220_000]], np.int32)
    expected = [reference.patch_id("tumor_001", "25e8a175bf81", int(x), int(y)) for x, y in xy]
    assert patch_ids("tumor_001", "25e8a175bf81", xy).tolist() == expected


def test_another_process_with_another_hash_seed_agrees() -> None:
    code = "from preprocessing.hashing import stable_hash; print(stable_hash('a', 'b', 3))"
    said = subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": "99"}, capture_output=True, check=True)
    assert int(said.stdout) == stable_hash("a", "b", 3)


def test_no_two_positions_of_a_slide_share_a_number() -> None:
    """The defect of the published sampler whose names collide, so that samples overwrite each other."""
    y, x = np.mgrid[0:1_000, 0:1_000]
    xy = np.stack([x.ravel() * 200, y.ravel() * 200], axis=1).astype(np.int32)
    ids = patch_ids("slide", "recipe", xy)
    assert len(np.unique(ids)) == 1_000_000
    assert abs(np.mean(ids > 0) - 0.5) < 0.002  # spread over the whole range


def test_parts_do_not_run_into_each_other() -> None:
    assert stable_hash("a", "bc") != stable_hash("ab", "c")
