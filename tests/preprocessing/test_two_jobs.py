"""Two jobs on one output: the second is refused before it has changed anything, and told who is first."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from cluster.errors import JobError
from preprocessing.inventory import SlideEntry
from preprocessing.ledger import Outcome
from tests.conftest import Command
from tests.preprocessing.committing import entries_of, job_of, run_job, settled, statuses, visible


def test_second_job_is_refused_with_exit_code_2_and_changes_nothing(
    histospark: Command, drawn: Path, tmp_path: Path
) -> None:
    out, begun, go_on = tmp_path / "out", threading.Event(), threading.Event()
    batch, do_wave = job_of(str(out), "a")

    def slow(wave: Sequence[SlideEntry]) -> list[Outcome]:
        begun.set()
        go_on.wait(600)
        return do_wave(wave)

    first = threading.Thread(target=batch.run, args=(entries_of(["fine"]), slow))
    first.start()
    begun.wait(600)
    before = visible(out)
    second = histospark("tile", "--conf", "conf/demo.yaml", "--slides", drawn, "--out", out)
    assert second.returncode == 2
    for word in (str(out), "histospark tile", f"process {os.getpid()}", "since 20"):
        assert word in second.stderr.splitlines()[-1]
    assert "Traceback" not in second.stderr
    assert visible(out) == before, "not even the recipe of the first is replaced"
    go_on.set()
    first.join()
    assert statuses(out) == {"fine": "done"}
    settled(out)


def test_job_that_was_taken_over_publishes_nothing_more(tmp_path: Path) -> None:
    """As after a machine was asleep: another job has come, worked and gone."""
    out = tmp_path / "out"
    batch, do_wave = job_of(str(out), "a")

    def overtaken(wave: Sequence[SlideEntry]) -> list[Outcome]:
        next(out.glob("_lock-*")).unlink()
        run_job(str(out), "b", ["fine", "other"])
        return do_wave(wave)

    with pytest.raises(JobError, match="stops here"):
        batch.run(entries_of(["fine"]), overtaken)
    assert statuses(out) == {"fine": "done", "other": "done"}
    run_job(str(tmp_path / "undisturbed"), "b", ["fine", "other"])
    assert settled(out) == settled(tmp_path / "undisturbed")
