"""Files that our driver for HDFS wrote are those that Hadoop's own client sees, and the other way round."""

from pathlib import Path

from cluster.storage import Store
from tests.cluster.hadoop.servers import Hadoop


def test_store_and_hadoops_own_client_see_the_same_files(hdfs: Hadoop, tmp_path: Path) -> None:
    store = Store(f"{hdfs.uri}/seen-by-both")
    store.write_bytes(b"from Python", "deep", "ours.txt")
    store.move("deep", "deeper")
    (tmp_path / "theirs.txt").write_bytes(b"from Java")
    shell, folder = "org.apache.hadoop.fs.FsShell", "/seen-by-both/deeper"
    hdfs.tool(shell, "-put", tmp_path / "theirs.txt", f"{folder}/theirs.txt").check_returncode()
    assert hdfs.tool(shell, "-cat", f"{folder}/ours.txt").stdout == "from Python"
    assert store.names("deeper") == ["ours.txt", "theirs.txt"]
    assert store.read_bytes("deeper", "theirs.txt") == b"from Java"
    store.remove()
    assert hdfs.tool(shell, "-test", "-e", folder).returncode == 1
