"""`histospark submit` on real clusters, whose executors have no Python but the one that is sent."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.older_spark import older_spark_home
from tests.cluster.standalone import SPARK_HOME, StandaloneCluster
from tests.conftest import ROOT, Command
from tests.tables import digests

# What Spark's scripts and Java's unpacking call; no Python is among them.
TOOLS = ("bash", "sh", "java", "dirname", "basename", "ps", "tar", "gzip", "cat", "chmod", "ls", "id", "uname", "nohup")
ASKING = """
import sys
from cluster.entry import run_command
import click
from cluster.python_version import refuse_other_python
from cluster.session import spark_session

@click.command()
def ask():
    with spark_session("asking", sys.argv[1]) as spark:
        spark.sparkContext.setLogLevel("OFF")
        refuse_other_python(spark)

sys.exit(run_command(ask, []))
"""


@pytest.fixture(scope="module", params=["4.0", "3.5"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneCluster]:
    folder = tmp_path_factory.mktemp("cluster")
    tools = folder / "bin"
    tools.mkdir()
    for name in TOOLS:
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    home = older_spark_home() if request.param == "3.5" else SPARK_HOME
    with StandaloneCluster(folder, 1, 2, "1g", home, {"PATH": str(tools)}) as running:
        yield running


@pytest.fixture(scope="module")
def slides(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good slides and one that is none."""
    folder = tmp_path_factory.mktemp("slides")
    for name in ("tumor_01", "normal_01"):
        for file in drawn.glob(f"{name}.*"):
            shutil.copy(file, folder)
    (folder / "broken.svs").write_bytes(b"no slide")
    return folder


@pytest.fixture(scope="module")
def local(histospark: Command, slides: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The table of a local run."""
    out = tmp_path_factory.mktemp("local")
    assert histospark("tile", "--conf", "conf/demo.yaml", "--slides", slides, "--out", out).returncode == 3
    return digests(out)


def test_job_runs_on_a_bare_cluster_and_writes_the_table_of_a_local_run(
    cluster: StandaloneCluster, slides: Path, local: dict[str, str], tmp_path: Path
) -> None:
    submitted = subprocess.run(
        [
            Path(sys.executable).with_name("histospark"), "submit", "tile", "--master", cluster.master,
            "--conf", "demo.yaml", "--slides", slides, "--out", "out",
            "--spark-conf", "spark.executor.memory=512m", "--spark-conf", "spark.driver.host=127.0.0.1",
        ],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "SPARK_HOME": str(cluster.spark_home)},
    )  # fmt: skip
    said = submitted.stdout + submitted.stderr
    assert submitted.returncode == 3, said[-3000:]
    assert "failed  broken: SlideOpenError" in said
    assert "2 slides done, 0 empty, 1 failed" in said
    assert " INFO " not in said
    assert len(local) >= 3
    assert digests(tmp_path / "out") == local


def test_executors_without_the_driver_s_python_are_told_before_the_work(
    cluster: StandaloneCluster, tmp_path: Path
) -> None:
    if cluster.spark_home != SPARK_HOME:
        pytest.skip("the driver of this question is pip's Spark, and speaks to its like")
    environment = {
        **os.environ,
        "PYSPARK_PYTHON": "./environment/bin/python",
        "PYSPARK_SUBMIT_ARGS": "--conf spark.executor.memory=512m pyspark-shell",
        "PYTHONPATH": str(ROOT),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    asked = subprocess.run(
        [sys.executable, "-c", ASKING, cluster.master],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env=environment,
    )  # fmt: skip
    assert asked.returncode == 2, asked.stderr[-3000:]
    assert "the executors have no Python at ./environment/bin/python: `histospark submit` sends" in asked.stderr
