"""Slides that crash, hang or blow up their worker are recorded, each with its reason; the others never notice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from tests.conftest import ROOT
from tests.tables import ledger_of

FINE = [f"fine_{number}" for number in range(12)]


def job(master: str, out: Path, slides: list[str]) -> tuple[list[int], pd.DataFrame]:
    """Sizes of the waves that were started, and the ledger by slide_id."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.preprocessing.deadly_job", master, str(out), *slides],
        capture_output=True, text=True, check=False, cwd=ROOT, env=os.environ | {"HISTOSPARK_HANGS_AFTER": "1"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    ledger = ledger_of(out)
    assert sorted(ledger["slide_id"]) == sorted(slides), "one row a slide"
    assert not list(out.rglob("_*"))
    return json.loads(ended.stdout.splitlines()[-1]), ledger.set_index("slide_id")


def test_where_spark_tries_a_task_again_the_wave_goes_on(tmp_path: Path) -> None:
    deadly = ["crashes", "hangs", "is_killed"]
    waves, ledger = job("local[2,4]", tmp_path / "out", [*FINE, "is_killed_once", *deadly])
    assert len(waves) == 1
    failed = ledger[ledger["status"] == "failed"]
    assert sorted(failed.index) == deadly, "a worker that dies by chance costs nothing"
    assert set(failed["error_type"]) == {"WorkerLostError"}
    assert "crashed in native code, twice" in failed.at["crashes", "error"]
    assert "Segmentation fault" in failed.at["crashes", "trace"]
    assert "hung" in failed.at["hangs", "error"]
    assert "in _end_worker" in failed.at["hangs", "trace"]
    assert "was killed (out of memory?), twice" in failed.at["is_killed", "error"]


def test_where_it_does_not_the_wave_is_halved_down_to_the_culprit(tmp_path: Path) -> None:
    waves, ledger = job("local[2,1]", tmp_path / "out", [*FINE[:3], "crashes", FINE[3]])
    assert ledger.index[ledger["status"] == "failed"].tolist() == ["crashes"]
    assert ledger.at["crashes", "error_type"] == "WorkerLostError"
    assert "Traceback" in ledger.at["crashes", "trace"]
    assert waves == [5, 2, 3, 1, 2, 1, 1, 1], "3 breaks, too, then 2, then the culprit alone, twice"
