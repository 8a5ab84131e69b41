"""Jobs and workers killed at random moments: the next run ends with the table of an undisturbed one.

About thirty kills, for the time they take; 50 of whole jobs: `python -m tests.preprocessing.chaos --kills 50`. That a
crash at any single step costs nothing is tested in `test_crash_points`.
"""

from pathlib import Path

from tests.preprocessing.chaos import chaos


def test_jobs_and_workers_killed_at_random_moments(tmp_path: Path) -> None:
    done = chaos(tmp_path, kills=6, workers=24, seed=3)
    assert (done.drivers, done.groups) == (3, 3)
    assert done.workers >= 12, "workers were hardly hit"
    assert len(done.outs) > 1, "no job got past its first output"
    assert done.looks > 0
