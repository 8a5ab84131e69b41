"""Jobs and workers killed at random moments: the next run ends with the table of an undisturbed one.

Some fifteen kills on a disk, and a few on S3, for the time they take; 50 of whole jobs on any of them:
`python -m tests.preprocessing.chaos --kills 50 [--at URI]`. That a crash at any single step costs nothing is tested in
`test_crash_points`, and in `tests/cluster/test_crash_points_elsewhere.py`.
"""

from pathlib import Path

from tests.cluster.s3_server import S3Server
from tests.preprocessing.chaos import chaos


def test_jobs_and_workers_killed_at_random_moments(tmp_path: Path) -> None:
    done = chaos(str(tmp_path / "place"), tmp_path, kills=4, workers=12, seed=3)
    assert (done.drivers, done.groups) == (2, 2)
    assert done.workers >= 6, "workers were hardly hit"
    assert len(done.outs) > 1, "no job got past its first output"
    assert done.looks > 0


def test_jobs_and_workers_killed_with_slides_and_table_on_s3(s3: S3Server, tmp_path: Path) -> None:
    done = chaos(f"{s3.uri}/{tmp_path.name}", tmp_path, kills=2, workers=4, seed=3, slides=2)
    assert (done.drivers, done.groups) == (1, 1)
    assert done.workers > 0, "no worker was hit"
    assert done.looks > 0
