"""conf/spark/standalone.conf on a real cluster that authenticates: with the secret a job runs, without it none."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.standalone import SPARK_HOME, StandaloneCluster
from tests.conftest import ROOT

SECRET = "an9ILw-only-of-this-test"
SETTINGS = ROOT / "conf" / "spark" / "standalone.conf"
LIGHT_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
OF_DAEMONS = ("spark.authenticate ", "spark.network.crypto.enabled ", "spark.io.encryption.enabled ")


@pytest.fixture(scope="module")
def with_secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What who submits keeps: the settings with a line more."""
    path = tmp_path_factory.mktemp("mine") / "standalone.conf"
    path.touch(mode=0o600)
    path.write_text(f"{SETTINGS.read_text()}spark.authenticate.secret {SECRET}\n")
    return path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneCluster]:
    """Its settings are the three lines of the file, and the secret, as the file says."""
    folder = tmp_path_factory.mktemp("cluster")
    lines = [line for line in SETTINGS.read_text().splitlines() if line.startswith(OF_DAEMONS)]
    assert len(lines) == len(OF_DAEMONS)
    settings = folder / "spark-defaults.conf"
    settings.touch(mode=0o600)
    settings.write_text("\n".join([*lines, f"spark.authenticate.secret {SECRET}", ""]))
    environment = {"SPARK_CONF_DIR": str(folder), "SPARK_DAEMON_JAVA_OPTS": LIGHT_JAVA}
    with StandaloneCluster(folder, 1, 1, "1g", environment=environment) as running:
        yield running


def submitting(cluster: StandaloneCluster, settings: Path | None, *arguments: object) -> "subprocess.Popen[str]":
    """A process of spark-submit that goes on; what it says comes on its one output."""
    files = () if settings is None else ("--properties-file", settings)
    fewer = ("--conf", "spark.executor.cores=1", "--conf", "spark.executor.memory=512m")
    light = ("--driver-java-options", LIGHT_JAVA, "--conf", f"spark.executor.extraJavaOptions={LIGHT_JAVA}")
    words = [
        SPARK_HOME / "bin" / "spark-submit", "--master", cluster.master, *files, *fewer, *light,
        "--conf", f"spark.eventLog.dir=file://{cluster.folder}", "--conf", "spark.driver.host=127.0.0.1",
        ROOT / "preprocessing" / "job.py", "--conf", ROOT / "conf" / "demo.yaml", *arguments,
    ]  # fmt: skip
    python = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **python}
    )


def applications(cluster: StandaloneCluster) -> int:
    """How many the master has ever taken."""
    state = json.loads(cluster.state())
    return len(state["activeapps"]) + len(state["completedapps"])


def test_job_without_the_secret_is_refused_and_with_it_runs(
    cluster: StandaloneCluster, with_secret: Path, drawn: Path, tmp_path: Path
) -> None:
    arguments = ("--slides", drawn / "normal_01.tif", "--out")
    secretless = submitting(cluster, SETTINGS, *arguments, tmp_path / "none")
    unauthenticated = submitting(cluster, None, *arguments, tmp_path / "none")
    try:
        refused = next((line for line in unauthenticated.stdout or () if "Failed to connect to master" in line), None)
        assert refused is not None, "it would try for a minute, and give up"
        said, _ = secretless.communicate()
        assert secretless.returncode == 1
        assert "A secret key must be specified via the spark.authenticate.secret config" in said
        assert applications(cluster) == 0
    finally:
        for process in (secretless, unauthenticated):
            process.terminate()
            process.wait()
    assert not (tmp_path / "none" / "slides").exists()

    trusted = submitting(cluster, with_secret, *arguments, tmp_path / "out")
    said, _ = trusted.communicate()
    assert trusted.returncode == 0, said[-3000:]
    assert "1 slides done" in said
    assert applications(cluster) == 1
    files = [path for path in cluster.folder.rglob("*") if path.is_file() and path.name != "spark-defaults.conf"]
    assert {"master.log", "stderr"} <= {path.name for path in files}
    assert SECRET not in said
    assert not [path for path in files if SECRET.encode() in path.read_bytes()], "the secret shows in a log"
