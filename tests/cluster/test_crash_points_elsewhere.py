"""A job that ends before any of its changes on S3 or HDFS costs nothing: the next run gives the undisturbed table.

A few points, for the time that they take; each of them on local disks is tested in
`tests/preprocessing/test_crash_points.py`.
"""

import multiprocessing
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from cluster.storage import Store
from preprocessing import ledger
from preprocessing.published_files import MANIFESTS, published_files
from tests.cluster.dying_elsewhere import run_and_die
from tests.cluster.tables_elsewhere import fetched
from tests.preprocessing.committing import run_job, visible

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.cluster.dying_elsewhere"])
CLIENT = ("AWS_", "HADOOP_")
LABELS = ["label=0/part-00000.parquet", "label=1/part-00000.parquet"]


@pytest.mark.parametrize(("elsewhere", "changes"), [("s3", (13, 21, 31)), ("hdfs", (34,))], indirect=["elsewhere"])
def test_another_recipe_and_split_over_a_finished_table(elsewhere: str, changes: Sequence[int], tmp_path: Path) -> None:
    """The way on, and the way back: the ledger says done by a, while the crash may have left the rows of b."""
    environment = {name: value for name, value in os.environ.items() if name.startswith(CLIENT)}
    runs = (("a", "train"), ("b", "test"))
    expected = {recipe: undisturbed(tmp_path / recipe, recipe, split) for recipe, split in runs}
    for turn, change in enumerate(changes):
        out = Store(f"{elsewhere}/{turn}")
        run_job(out.uri, "a")
        process = PROCESSES.Process(target=run_and_die, args=(out.uri, "b", change, "test", environment))
        process.start()
        process.join()
        assert process.exitcode == 77, f"change {change} ended with {process.exitcode}"
        assert_readers_see_whole_slides(out)
        recipe, split = runs[turn % 2]
        run_job(out.uri, recipe, split=split)
        here = fetched(out, tmp_path / f"there-{turn}")
        assert settled(here) == expected[recipe], f"{recipe} after a crash before change {change}"
        assert statuses_of(out) == {"empty": "empty", "fine [1]": "done", "torn": "done" if recipe == "a" else "failed"}


def undisturbed(out: Path, recipe: str, split: str) -> dict[str, str]:
    run_job(str(out), recipe, split=split)
    return settled(out)


def settled(out: Path) -> dict[str, str]:
    """All files but manifests, metrics and the ledger, after making sure that nothing is left that should be gone."""
    found = {name: digest for name, digest in visible(out).items() if f"/{MANIFESTS}/" not in name}
    found = {name: digest for name, digest in found.items() if not name.startswith("metrics/")}
    assert not [name for name in found if "/_" in f"/{name}"]
    return found


def statuses_of(out: Store) -> dict[str, str]:
    last = ledger.latest(out, "tile")
    return dict(zip(last["slide_id"], last["status"], strict=True))


def assert_readers_see_whole_slides(out: Store) -> None:
    """Each slide that shows has both of its files."""
    seen: dict[str, list[str]] = {}
    for path in published_files(out, "patches"):
        folder, _, rest = path.rpartition("/label=")
        seen.setdefault(folder, []).append(f"label={rest}")
    assert all(files == LABELS for files in seen.values()), seen
