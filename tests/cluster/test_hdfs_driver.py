"""What HDFS refuses is told in a line, and names are what they are."""

import os
import subprocess

import pytest

from cluster.errors import UsageError
from cluster.storage import Store
from tests.cluster.hadoop.servers import Hadoop
from tests.cluster.standalone import free_port


def test_names_are_not_cut(hdfs: Hadoop) -> None:
    store = Store(f"{hdfs.uri}/names")
    names = ["a", "a#1", "a#2", "a?x=1", "b c;d", "é%20"]
    for name in names:
        store.write_bytes(name.encode(), name)
    assert store.names() == sorted(names)
    assert [store.read_bytes(name).decode() for name in names] == names


def test_default_name_node_is_that_of_the_settings(hdfs: Hadoop) -> None:
    Store(f"{hdfs.uri}/default").write_bytes(b"x", "a")
    assert Store("hdfs:///default").read_bytes("a") == b"x"


def test_missing_right_is_said_in_a_line(hdfs: Hadoop, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(f"{hdfs.uri}/mine")
    store.write_bytes(b"x", "a")
    store.fs.client.set_permission(store.path("a"), 0o600)
    monkeypatch.setenv("HADOOP_USER_NAME", "stranger")
    store.fs.clear_instance_cache()
    with pytest.raises(PermissionError, match="Permission denied: user=stranger") as told:
        Store(store.uri).read_bytes("a")
    assert len(str(told.value).splitlines()) == 1
    store.fs.clear_instance_cache()


def test_name_node_that_does_not_answer_is_said_at_once() -> None:
    pytest.importorskip("hdfs_native")
    with pytest.raises(UsageError, match=r"cannot be reached: .*refused; check the address"):
        Store(f"hdfs://127.0.0.1:{free_port()}/x")


def test_process_with_a_client_can_fork(hdfs: Hadoop) -> None:
    """As Spark's launcher does, with a function to be called in the child."""
    store = Store(f"{hdfs.uri}/forked")
    store.write_bytes(b"x", "a")
    subprocess.run(["true"], preexec_fn=os.getpid, check=True)
    assert store.read_bytes("a") == b"x"
