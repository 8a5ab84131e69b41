"""What our jobs have to live with on YARN, seen on real servers: its queues and its limits."""

from pathlib import Path

from tests.cluster.hadoop.servers import Hadoop
from tests.cluster.hadoop.settings import URGENT
from tests.cluster.hadoop.submitting import ended, spark_submit

JOBS = Path(__file__).with_name("jobs")


def test_worker_beyond_its_containers_memory_is_killed_and_its_task_done_again(hadoop: Hadoop, tmp_path: Path) -> None:
    code, said = ended(spark_submit(hadoop, "--queue", URGENT, JOBS / "hungry.py", tmp_path / "note"))
    assert code == 0, said[-3000:]
    assert (tmp_path / "note").exists()
    assert "Container killed by YARN for exceeding physical memory limits" in said
    assert "of 896 MB physical memory used. Consider boosting spark.executor.memoryOverhead" in said  # 512 + 384
    assert "squares: [49]" in said
    assert f"queue: root.{URGENT}\n" in said
