"""The real servers that tests of storage share, and a place of its own there for each test."""

from pathlib import Path

import pytest

from tests.cluster.hadoop.servers import Hadoop, hadoop
from tests.cluster.s3_server import s3, s3_server

__all__ = ["elsewhere", "hadoop", "hdfs", "s3", "s3_server"]


@pytest.fixture
def hdfs(hadoop: Hadoop, monkeypatch: pytest.MonkeyPatch) -> Hadoop:
    """The servers, known to this process by their settings."""
    for name, value in hadoop.environment.items():
        monkeypatch.setenv(name, value)
    pytest.importorskip("cluster.hdfs_driver").MendedHdfs.clear_instance_cache()
    return hadoop


@pytest.fixture(params=["s3", "hdfs"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URI of a test's own place on a real server; the servers outlive the test."""
    return f"{request.getfixturevalue(request.param).uri}/{tmp_path.name}"
