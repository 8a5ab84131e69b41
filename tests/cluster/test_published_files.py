"""What readers of a table on S3 take for whole, and training from S3 and HDFS."""

from pathlib import Path

import pytest

from cluster.errors import UsageError
from cluster.storage import Store
from preprocessing.published_files import MANIFESTS, is_published, published_files
from tests.cluster.s3_server import S3Server
from tests.cluster.tables_elsewhere import stored
from tests.preprocessing.committing import entries_of, job_of, run_job
from tests.training.tiny_table import tiny_recipe, write_table
from training.row_loss import open_rows
from training.sampling import every_row
from training.table import open_table
from training.weights import ImageNetFile, local_weights

SLIDE = "split=train/slide_id=fine"


def names(store: Store) -> list[str]:
    return [path.removeprefix(f"{store.root}/patches/{SLIDE}/") for path in published_files(store, "patches")]


@pytest.fixture
def table(s3: S3Server, tmp_path: Path) -> Store:
    """One slide of two files, published by a job."""
    out = Store(f"{s3.uri}/{tmp_path.name}")
    run_job(out.uri, "a", ["fine"])
    assert names(out) == ["label=0/part-00000.parquet", "label=1/part-00000.parquet"]
    return out


def test_slide_whose_files_are_still_coming_does_not_show(table: Store) -> None:
    other = SLIDE.replace("fine", "half")
    table.write_bytes(b"x", "patches", other, "label=0/part-00000.parquet")
    assert len(names(table)) == 2
    assert is_published(table, "patches", SLIDE)
    assert not is_published(table, "patches", other)


def test_file_that_was_lost_or_cut_is_noticed(table: Store) -> None:
    lost = f"patches/{SLIDE}/label=1/part-00000.parquet"
    table.write_bytes(b"cut", lost)
    with pytest.raises(UsageError, match="of another size"):
        names(table)
    table.remove(lost)
    with pytest.raises(UsageError, match=r"is gone .*: a file was lost, or a job is at work"):
        names(table)


def test_table_that_was_copied_to_s3_is_read_and_gone_on_with(s3: S3Server, tmp_path: Path) -> None:
    run_job(str(tmp_path / "local"), "a", ["fine"])
    out = stored(tmp_path / "local", Store(f"{s3.uri}/{tmp_path.name}"))
    assert not out.exists("patches", MANIFESTS)
    assert len(names(out)) == 2
    assert is_published(out, "patches", SLIDE)
    batch, do_wave = job_of(out.uri, "a")
    summary = batch.run(entries_of(["fine", "later"]), do_wave)
    assert (summary.skipped, summary.done) == (1, 1)
    assert len(published_files(out, "patches")) == 4
    assert len(out.names("patches", MANIFESTS, "split=train")) == 2


def test_training_reads_every_row_from_elsewhere(elsewhere: str, tmp_path: Path) -> None:
    written = write_table(tmp_path / "local", tiny_recipe())
    store = stored(tmp_path / "local", Store(elsewhere))
    there, here = open_table(store.uri), open_table(str(tmp_path / "local"))
    assert (there.recipe_json, there.images) == (here.recipe_json, here.images)
    ids = set()
    with open_rows(there.filesystem, every_row(there.labeled("train")), ["patch_id", *there.images], 2) as reader:
        for group in reader:
            ids |= set(group.patch_id.tolist())
            assert all(image[:2] == b"\xff\xd8" for image in group.image_1)
    assert ids == written.ids["train"]


def test_first_weights_come_from_elsewhere(elsewhere: str) -> None:
    store = Store(elsewhere)
    store.write_bytes(b"weights", "mine.weights.h5")
    with local_weights(f"{store.uri}/mine.weights.h5", ImageNetFile("", "", "")) as path:
        assert path is not None
        assert path.read_bytes() == b"weights"
    with (
        pytest.raises(UsageError, match=r"there is no file .*none\.h5"),
        local_weights(f"{store.uri}/none.h5", ImageNetFile("", "", "")),
    ):
        pass
