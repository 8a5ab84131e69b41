"""Where Spark schedules GPUs, `auto` takes Keras, and a task sees its GPU alone. nvidia-smi is a stand-in here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyspark
import pytest

from cluster.java import ensure_java
from tests.conftest import ROOT

SETTINGS = ROOT / "conf" / "spark"
SCRIPT = SETTINGS / "gpu-discovery.sh"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an nvidia-smi that lists GPUs 3 and 5, as one does on a machine where others are taken out."""
    folder = tmp_path_factory.mktemp("driver")
    smi = folder / "nvidia-smi"
    smi.write_text('#!/bin/sh\n[ "$1" = --query-gpu=index ] && printf "3\\n5\\n"\n')
    smi.chmod(0o755)
    return folder


def discovered(path: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["/bin/sh", SCRIPT], env={"PATH": path}, capture_output=True, text=True, check=False)


def test_discovery_prints_what_spark_reads(driver: Path) -> None:
    said = discovered(f"{driver}:/usr/bin:/bin")
    assert said.returncode == 0
    assert json.loads(said.stdout) == {"name": "gpu", "addresses": ["3", "5"]}


@pytest.mark.parametrize(
    ("smi", "reason"),
    [
        (None, "there is no nvidia-smi here: install"),
        ("echo No devices were found; exit 6", "cannot list the GPUs: No devices were found"),
        ("echo nothing of use", "lists no GPU: nothing of use"),
    ],
)
def test_discovery_says_why_there_are_none(tmp_path: Path, smi: str | None, reason: str) -> None:
    if smi is not None:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{smi}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    for tool in ("sed", "paste"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    said = discovered(str(tmp_path))
    assert said.returncode == 1
    assert reason in said.stderr
    assert said.stdout == ""


def test_a_task_with_a_gpu_computes_with_keras_on_it(driver: Path, drawn: Path, exported: Path, tmp_path: Path) -> None:
    ensure_java()
    settings = {
        "spark.worker.resource.gpu.amount": 2,
        "spark.worker.resource.gpu.discoveryScript": SCRIPT,
        "spark.executor.resource.gpu.discoveryScript": SCRIPT,
        "spark.task.resource.gpu.amount": 1,  # one task at a time, for the memory of test machines
        "spark.executor.memory": "1g",
        "spark.driver.host": "127.0.0.1",
    }
    environment = {
        **os.environ,
        "PATH": f"{driver}:{os.environ['PATH']}",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "SPARK_LOCAL_DIRS": str(tmp_path / "spark"),
        "SPARK_WORKER_DIR": str(tmp_path / "work"),
    }
    submitted = subprocess.run(
        [
            Path(pyspark.__file__).parent / "bin" / "spark-submit", "--master", "local-cluster[1,2,1024]",
            "--properties-file", SETTINGS / "gpu.conf",
            *[word for key, value in settings.items() for word in ("--conf", f"{key}={value}")],
            Path(__file__).with_name("gpu_job.py"), exported, drawn / "normal_01.tif", tmp_path / "out",
        ],
        capture_output=True, text=True, check=False, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert submitted.returncode == 0, submitted.stderr[-3000:]
    told = json.loads(submitted.stdout.splitlines()[-1])
    assert told["done"] == 1
    ((given, shown),) = told["seen"]
    assert given in (["3"], ["5"])
    assert shown == given[0]
    (score,) = pd.read_parquet(tmp_path / "out" / "slide_scores").to_dict("records")
    assert score["engine"] == "keras"
