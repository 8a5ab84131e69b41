"""The steps of a store do the same on disks, HDFS and S3: tried on real servers."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster.storage import Store


@pytest.fixture(params=["disk", "s3", "hdfs"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "disk":
        return Store(str(tmp_path))
    return Store(f"{request.getfixturevalue(request.param).uri}/{tmp_path.name}")


def test_written_bytes_are_read_listed_and_removed(store: Store) -> None:
    assert store.names() == []
    assert not store.exists("a")
    for name in ("a [1]/x y.txt", "a [1]/b/z", "c"):
        store.write_bytes(name.encode(), name)
    assert store.read_bytes("a [1]/x y.txt") == b"a [1]/x y.txt"
    assert store.exists("a [1]")
    assert store.names() == ["a [1]", "c"]
    assert store.files("a [1]") == [store.path("a [1]/b/z"), store.path("a [1]/x y.txt")]
    store.remove("a [1]")
    assert store.files() == [store.path("c")]
    store.remove("a [1]")


def test_written_again_replaces(store: Store) -> None:
    store.write_bytes(b"old", "f/a")
    store.write_bytes(b"new", "f/a")
    assert store.read_bytes("f/a") == b"new"
    assert store.names("f") == ["a"]


def test_folder_is_moved_whole(store: Store) -> None:
    for name in ("s/slide [1]/label=0/p", "s/slide [1]/label=1/p", "s/slide [1]9/p"):
        store.write_bytes(name.encode(), name)
    store.move("s/slide [1]", "t/split=x/slide [1]")
    assert [path.removeprefix(store.root) for path in store.files()] == [
        "/s/slide [1]9/p", "/t/split=x/slide [1]/label=0/p", "/t/split=x/slide [1]/label=1/p",
    ]  # fmt: skip
    assert store.read_bytes("t/split=x/slide [1]/label=1/p") == b"s/slide [1]/label=1/p"
    with pytest.raises(FileNotFoundError):
        store.move("s/slide [1]", "t/other")


def test_file_that_breaks_while_it_is_written_never_shows(store: Store) -> None:
    store.make_folder("w")
    table = pa.table({"x": list(range(1000))})
    with store.new_file("t/good.parquet", "w/1") as file, pq.ParquetWriter(file, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(ZeroDivisionError):
        _break_while_writing(store)
    assert store.files() == [store.path("t/good.parquet")]
    with store.fs.open(store.path("t/good.parquet"), "rb") as written:
        assert pq.read_table(written).equals(table)


def _break_while_writing(store: Store) -> None:
    with store.new_file("t/bad.parquet", "w/2") as file:
        file.write(bytes(60 << 20))  # more than a part of an upload
        raise ZeroDivisionError


def test_first_to_create_wins_and_the_second_changes_nothing(store: Store) -> None:
    assert store.create(b"first", "l/lock")
    assert not store.create(b"second", "l/lock")
    assert store.read_bytes("l/lock") == b"first"
    assert store.names("l") == ["lock"]


def test_touch_is_seen_by_the_clock_of_the_store_and_brings_nothing_back(store: Store) -> None:
    store.write_bytes(b"x", "a")
    assert 0 <= store.seconds_since_touched("a") <= 60
    store.touch("a")
    assert 0 <= store.seconds_since_touched("a") <= 60
    assert store.read_bytes("a") == b"x"
    store.remove("a")
    for look in (store.touch, store.seconds_since_touched):
        with pytest.raises(FileNotFoundError):
            look("a")
    assert store.names() == []
