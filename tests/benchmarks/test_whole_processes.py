"""Processes that benchmarks run: on the cores they are given, with what they took, and not silently when they fail."""

import json
import sys
from pathlib import Path

import click
import pytest

from benchmarks.processes import cpu_seconds, descendants, pinned, run_whole
from benchmarks.sessions import ANSWER, Session

# It works for a while first, as the system counts processor time in hundredths of a second.
ANSWERS = f"""
import sys
sum(range(5_000_000))
for _ in sys.stdin:
    print('noise')
    print('{ANSWER}{{"seconds": 2, "tiles": 5}}', flush=True)
"""


def test_a_command_runs_on_as_many_cores_as_it_is_given(tmp_path: Path) -> None:
    code = "import os; print(len(os.sched_getaffinity(0)))"
    run_whole([sys.executable, "-c", code], 1, tmp_path / "log")
    assert (tmp_path / "log").read_text().strip() == "1"


def test_more_cores_than_there_are_are_refused() -> None:
    with pytest.raises(click.ClickException, match="4096 cores are wanted"):
        pinned(["true"], 4096)


def test_a_command_that_fails_tells_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="no such luck"):
        run_whole([sys.executable, "-c", "raise SystemExit('no such luck')"], 1, tmp_path / "log")


def test_the_largest_memory_of_a_process_is_seen(tmp_path: Path) -> None:
    code = "import time; data = bytearray(200 << 20); time.sleep(0.5)"
    finished = run_whole([sys.executable, "-c", code], 1, tmp_path / "log", watch_memory=True)
    assert 200 <= finished.peaks["driver"] < 300


def test_a_session_answers_and_ends(tmp_path: Path) -> None:
    with Session([sys.executable, "-c", ANSWERS], 1, tmp_path / "work") as session:
        run = session.tile(())
        root = session._process.pid
        assert root in descendants(root)
        assert cpu_seconds(root) > 0
    assert (run.seconds, run.tiles) == (2, 5)
    assert session._process.returncode == 0


def test_a_session_that_dies_tells_its_last_words(tmp_path: Path) -> None:
    dying = [sys.executable, "-c", "raise SystemExit('out of tiles')"]
    with (
        pytest.raises(click.ClickException, match="out of tiles"),
        Session(dying, 1, tmp_path / "work") as session,
    ):
        session.tile(())


def test_planning_counts_what_is_left_to_do(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.planning", tmp_path, "100"]
    run_whole(command, 1, tmp_path / "log")
    figures = json.loads((tmp_path / "log").read_text().splitlines()[-1])
    assert set(figures["seconds"]) == {"plan anew", "write the ledger, wave by wave", "plan again"}
    assert figures["peak_mb"] < 4096
