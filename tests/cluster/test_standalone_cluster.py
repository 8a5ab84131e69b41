"""The tile job by plain spark-submit on a real standalone master and worker, its code shipped with --py-files."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.standalone import SPARK_HOME, StandaloneCluster
from tests.conftest import ROOT, Command
from tests.tables import digests

ROOMS = ("cluster", "preprocessing")
OURS = ("__editable__", "histospark")


@pytest.fixture(scope="module")
def foreign_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the same libraries but without histospark, as on a cluster that never heard of it."""
    home = tmp_path_factory.mktemp("env")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    theirs = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    for library in Path(sysconfig.get_path("purelib")).iterdir():
        if not library.name.startswith(OURS):
            (theirs / library.name).symlink_to(library)
    python = home / "bin" / "python"
    missing = subprocess.run([python, "-c", "import preprocessing"], cwd=home, capture_output=True, check=False)
    assert missing.returncode != 0, "the executors must not find our code but through --py-files"
    return python


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneCluster]:
    with StandaloneCluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("code") / "histospark.zip"
    subprocess.run([sys.executable, "-m", "zipfile", "-c", archive, *ROOMS], check=True, cwd=ROOT)  # as in README.md
    return archive


def test_spark_submit_with_py_files_writes_the_table_and_ends_with_the_code_of_a_local_run(
    cluster: StandaloneCluster, foreign_python: Path, code: Path, histospark: Command, drawn: Path, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    shutil.copy(ROOT / "preprocessing" / "job.py", tmp_path / "job.py")  # the job alone, none of its rooms beside it
    slides = Path(shutil.copytree(drawn, tmp_path / "slides"))
    (slides / "broken.svs").write_bytes(b"no slide")
    arguments = ["--conf", "conf/demo.yaml", "--slides", str(slides)]
    environment = {**os.environ, "PYSPARK_PYTHON": str(foreign_python), "PYSPARK_DRIVER_PYTHON": str(foreign_python)}
    environment.pop("PYTHONPATH", None)
    submitted = subprocess.run(
        [
            SPARK_HOME / "bin" / "spark-submit", "--master", cluster.master, "--py-files", code,
            "--conf", "spark.driver.host=127.0.0.1", "--conf", "spark.driver.bindAddress=127.0.0.1",
            "--conf", "spark.executor.memory=1g", "job.py", *arguments, "--out", tmp_path / "cluster-out",
        ],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert submitted.returncode == 3, submitted.stdout + submitted.stderr[-3000:]
    assert "3 slides done" in submitted.stdout
    assert "failed  broken: SlideOpenError" in submitted.stdout + submitted.stderr
    assert histospark("tile", *arguments, "--out", tmp_path / "local-out").returncode == 3
    assert len(digests(tmp_path / "local-out")) >= 6
    assert digests(tmp_path / "cluster-out") == digests(tmp_path / "local-out")
