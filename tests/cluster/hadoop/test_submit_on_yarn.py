"""`histospark submit` on YARN: the driver on a node, all data on HDFS, and the table of a local run."""

import shutil
from pathlib import Path

from cluster.storage import Store
from tests.cluster.hadoop.servers import Hadoop
from tests.cluster.hadoop.submitting import SMALL
from tests.cluster.tables_elsewhere import fetched, stored
from tests.conftest import ROOT, Command
from tests.tables import digests

RECIPE = ("--conf", str(ROOT / "conf" / "demo.yaml"))


def test_slides_and_table_on_hdfs_and_the_driver_on_a_node(
    hdfs: Hadoop, histospark: Command, drawn: Path, tmp_path: Path
) -> None:
    some = shutil.copytree(drawn, tmp_path / "some", ignore=shutil.ignore_patterns("tumor_02*"))
    slides, out = stored(some, Store(f"{hdfs.uri}/submitted/slides")), Store(f"{hdfs.uri}/submitted/out")
    (tmp_path / "some" / "broken.svs").write_bytes(b"no slide")
    slides.write_bytes(b"no slide", "broken.svs")
    once = {"spark.yarn.maxAppAttempts": "1"}  # else a driver that ends with 3 is started again
    settings = [word for key, value in (SMALL | once).items() for word in ("--spark-conf", f"{key}={value}")]
    submitted = histospark(
        "submit", "tile", "--master", "yarn", "--deploy-mode", "cluster", *settings,
        *RECIPE, "--slides", slides.uri, "--out", out.uri,
    )  # fmt: skip
    said = submitted.stdout + submitted.stderr
    assert submitted.returncode == 3, said[-6000:]
    assert "failed  broken: SlideOpenError" in submitted.stdout  # of the driver, which ran on a node

    local = histospark("tile", *RECIPE, "--slides", some, "--out", tmp_path / "local")
    assert local.returncode == 3, local.stderr[-3000:]
    there = fetched(out, tmp_path / "there")
    assert digests(there) == digests(tmp_path / "local")
    assert len(digests(there)) >= 3
