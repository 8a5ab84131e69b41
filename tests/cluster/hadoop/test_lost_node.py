"""A node that loses its power in mid-job costs time, nothing else."""

import time
from pathlib import Path

from tests.cluster.hadoop.servers import Hadoop
from tests.cluster.hadoop.submitting import SMALL, application, containers, ended, spark_submit
from tests.conftest import ROOT, Command
from tests.tables import digests

SETTINGS = {**SMALL, "spark.executor.instances": "2", "spark.executor.memory": "2g"}  # two do not fit on one node
RECIPE = ("--conf", ROOT / "conf" / "demo.yaml", "--set", "tiling.block=128", "--set", "tiling.stride=24")


def test_table_equals_that_of_an_undisturbed_run(
    hadoop: Hadoop, histospark: Command, drawn: Path, tmp_path: Path
) -> None:
    place = ("--slides", drawn, "--out", tmp_path / "out")
    known = {name for number in range(len(hadoop.nodes)) for name in _applications(hadoop, number)}
    job = spark_submit(hadoop, ROOT / "preprocessing" / "job.py", *RECIPE, *place, settings=SETTINGS)
    lost = None
    while lost is None:
        assert job.poll() is None, ended(job)[1][-3000:]
        time.sleep(0.05)
        if next((tmp_path / "out").rglob("*.parquet"), None) is None:
            continue  # no work has been done yet
        (name,) = {name for number in range(len(hadoop.nodes)) for name in _applications(hadoop, number)} - known
        held = containers(hadoop, name)
        lost = next((n for n, each in enumerate(held) if each and not any(c.endswith("_000001") for c in each)), None)
    hadoop.nodes[lost].power_off()
    hadoop.add_node()
    code, said = ended(job)
    assert code == 0, said[-3000:]
    assert "Lost executor" in said
    assert application(said) == name

    undisturbed = histospark("tile", *RECIPE, "--slides", drawn, "--out", tmp_path / "local")
    assert undisturbed.returncode == 0, undisturbed.stderr[-3000:]
    assert digests(tmp_path / "out") == digests(tmp_path / "local")


def _applications(hadoop: Hadoop, number: int) -> set[str]:
    return {folder.name for folder in (hadoop.node_folder(number) / "logs").glob("application_*")}
