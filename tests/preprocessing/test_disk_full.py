"""A full disk and files that one may not read: the slide's fault, or the job's, in one line; the rest is unharmed."""

import os
import resource
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from cluster.errors import JobError
from cluster.storage import Store
from histospark.drawing import draw_slide
from preprocessing.inventory import SlideEntry, inventory
from preprocessing.job import run_tiling
from preprocessing.ledger import Outcome
from preprocessing.recipe import Recipe
from preprocessing.shard_file import WRITING, OutputError, OutputFullError, write_shard
from tests.preprocessing.committing import entries_of, job_of, run_job, settled, statuses
from tests.tables import digests, ledger_of


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted here: this needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_slide_that_does_not_fit_fails_and_those_that_fit_are_done(
    spark: SparkSession, small: Recipe, small_disk: Path, tmp_path: Path
) -> None:
    slides = tmp_path / "slides"
    for name, side in (("a_small", 512), ("b_large", 2048), ("c_small", 512)):
        draw_slide(slides, name, seed=3, side=side, lesions=1)
    entries, out = inventory(str(slides), small.tiling, small.seed), small_disk / "out"
    summary = run_tiling(spark, small, entries, str(out), wave=1)
    assert (summary.done, summary.failed) == (2, 1), summary.faults
    row = ledger_of(out).set_index("slide_id").loc["b_large"]
    assert (row["status"], row["error_type"]) == ("failed", "OutputFullError")
    assert row["error"].startswith(f"no space left in {out} (")
    assert row["error"].endswith("; free some and run again")
    assert not list(out.rglob("_*")), "what was half written does not take the space from others"
    roomy = tmp_path / "roomy"
    run_tiling(spark, small, entries, str(roomy), wave=1)
    expected = digests(roomy)
    assert digests(out) == {name: digest for name, digest in expected.items() if "b_large" not in name}
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert run_tiling(spark, small, entries, str(out), wave=1).done == 1
    assert digests(out) == expected


def test_disk_that_has_no_room_for_the_ledger_ends_the_job_in_one_line(small_disk: Path, tmp_path: Path) -> None:
    out, filler = small_disk / "out", small_disk / "filler"
    batch, do_wave = job_of(str(out), "a")

    def fill_up(wave: Sequence[SlideEntry]) -> list[Outcome]:
        outcomes = do_wave(wave)
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(b"x" * 2_000_000)
        return outcomes

    with pytest.raises(JobError) as told:
        batch.run(entries_of(["fine", "good"]), fill_up)
    assert "no space left" in str(told.value)
    assert "\n" not in str(told.value)
    filler.unlink()
    run_job(str(out), "a", ["fine", "good"])
    run_job(str(tmp_path / "undisturbed"), "a", ["fine", "good"])
    assert settled(out) == settled(tmp_path / "undisturbed")
    assert statuses(out) == {"fine": "done", "good": "done"}


def test_shard_that_cannot_be_written_whole_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk where none can be mounted."""
    store = Store(str(tmp_path))
    store.make_folder(WRITING)
    table = pa.table({"image_0": [os.urandom(1000) for _ in range(1000)]})
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        with pytest.raises(OutputFullError, match="free some and run again"):
            write_shard([table], table.schema, store, "label=0/part-00000.parquet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert store.files() == []


def test_worker_of_an_ended_job_does_not_bring_its_staging_back(tmp_path: Path) -> None:
    table = pa.table({"x": [1]})
    with pytest.raises(OutputError, match="cannot be written"):
        write_shard([table], table.schema, Store(str(tmp_path / "cleared")), "label=0/part-00000.parquet")
    assert list(tmp_path.iterdir()) == []


def test_slide_that_may_not_be_read_fails_with_that_reason(
    spark: SparkSession, small: Recipe, drawn: Path, tmp_path: Path
) -> None:
    """Spark's workers run as this user; for root, who may read all, a file that answers with an error has to do."""
    slides = tmp_path / "slides"
    draw_slide(slides, "good", seed=3, side=512, lesions=1)
    forbidden = slides / "forbidden.tif"
    if os.geteuid() == 0:
        forbidden.symlink_to("/proc/self/mem")  # opens, and then: Input/output error
    else:
        forbidden.write_bytes((drawn / "normal_01.tif").read_bytes())
        forbidden.chmod(0)
    entries = inventory(str(slides), small.tiling, small.seed)
    summary = run_tiling(spark, small, entries, str(tmp_path / "out"))
    assert (summary.done, summary.failed) == (1, 1)
    row = ledger_of(tmp_path / "out").set_index("slide_id").loc["forbidden"]
    assert row["error_type"] == "SlideOpenError"
    assert "forbidden.tif" in row["error"]
    assert "\n" not in row["error"]
