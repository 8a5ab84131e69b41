"""The settings in conf/spark are Spark's, a job runs with them, and its steps have names in the event log."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from py4j.java_gateway import JVMView
from pyspark.sql import SparkSession

from preprocessing.run_metrics import METRICS, RunMetrics
from tests.cluster.standalone import SPARK_HOME
from tests.conftest import ROOT

FILES = sorted((ROOT / "conf" / "spark").glob("*.conf"))
# Settings that Spark knows by their form, and the first of all.
FORMS = re.compile(
    r"spark\.(executor|task|driver|worker)\.resource\.\w+\.(amount|discoveryScript|vendor)"
    r"|spark\.executorEnv\.\w+|spark\.master"
)
# Where Spark declares its settings: they are known once these have been loaded.
DECLARED_IN = (
    *(
        f"org.apache.spark.internal.config.{name}$"
        for name in ("package", "UI", "Network", "Python", "History", "Deploy", "Worker")
    ),
    "org.apache.spark.deploy.yarn.config.package$",
)


def settings_of(path: Path) -> dict[str, str]:
    """What the file sets: its lines without comments."""
    lines = [line.split(None, 1) for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert all(len(line) == 2 for line in lines), path
    assert len({key for key, _ in lines}) == len(lines), f"{path} says something twice"
    return {key: value.strip() for key, value in lines}


def named_in(text: str) -> set[str]:
    """Every property that a text names, in comments, too."""
    return set(re.findall(r"(?<![\w.])spark(?:\.[A-Za-z]\w*)+", text))


def unknown(names: set[str], jvm: JVMView) -> set[str]:
    """Those that the running Spark does not declare."""
    for name in DECLARED_IN:
        jvm.java.lang.Class.forName(name)
    find = jvm.org.apache.spark.internal.config.ConfigEntry.findEntry
    return {name for name in names if find(name) is None and not FORMS.fullmatch(name)}


def test_every_property_in_the_files_is_one_that_spark_declares(spark: SparkSession) -> None:
    assert {path.name for path in FILES} == {"gpu.conf", "local.conf", "standalone.conf", "yarn.conf"}
    named = {name for path in FILES for name in named_in(path.read_text())}
    assert len(named) > 20
    jvm: Any = spark._jvm
    assert unknown({"spark.python.worker.reuze", "spark.task.maxFailure"}, jvm) == {
        "spark.python.worker.reuze", "spark.task.maxFailure"
    }  # fmt: skip
    assert unknown(named, jvm) == set()


def test_every_property_on_the_page_is_one_that_spark_declares(spark: SparkSession) -> None:
    jvm: Any = spark._jvm
    assert unknown(named_in((ROOT / "docs" / "cluster.md").read_text()), jvm) == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_secret_is_in_the_files(path: Path) -> None:
    assert not {key for key in settings_of(path) if re.search(r"secret|password|token|key", key, re.I)}


@pytest.mark.parametrize("name", ["standalone.conf", "yarn.conf"])
def test_what_goes_over_the_network_is_authenticated_and_encrypted(name: str) -> None:
    settings = settings_of(ROOT / "conf" / "spark" / name)
    for key in ("spark.authenticate", "spark.network.crypto.enabled", "spark.io.encryption.enabled"):
        assert settings[key] == "true"
    assert settings["spark.task.maxFailures"] == "3"  # see preprocessing.isolation


def test_memory_of_a_container_is_the_formula_of_the_page() -> None:
    page = (ROOT / "docs" / "cluster.md").read_text()
    settings = settings_of(ROOT / "conf" / "spark" / "yarn.conf")
    of_worker = {job: int(mb) for job, mb in re.findall(r"^\| `(tile|infer)` \| .*\| (\d+) MB \|$", page, re.M)}
    cores = int(settings["spark.executor.cores"])
    assert settings["spark.executor.memoryOverhead"] == f"{cores * of_worker['tile'] + 400}m"
    assert f"`infer` take {cores * of_worker['infer'] + 400}m" in (ROOT / "conf" / "spark" / "yarn.conf").read_text()


def test_job_runs_with_the_local_settings_and_its_steps_have_names_in_the_event_log(
    drawn: Path, tmp_path: Path
) -> None:
    slides, events, out = tmp_path / "slides", tmp_path / "events", tmp_path / "out"
    events.mkdir()
    slides.mkdir()
    for file in drawn.glob("tumor_0*"):
        shutil.copy(file, slides)
    submitted = subprocess.run(
        [
            SPARK_HOME / "bin" / "spark-submit", "--properties-file", ROOT / "conf" / "spark" / "local.conf",
            "--conf", f"spark.eventLog.dir=file://{events}", "--conf", "spark.eventLog.compress=false",
            "--conf", "spark.executor.heartbeatInterval=500ms",  # a look at the memory comes with each
            "--driver-java-options", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
            ROOT / "preprocessing" / "job.py", "--conf", ROOT / "conf" / "demo.yaml",
            "--slides", slides, "--out", out, "--wave", "1",
        ],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable},
    )  # fmt: skip
    assert submitted.returncode == 0, submitted.stderr[-3000:]
    (run,) = (RunMetrics.model_validate_json(path.read_text()) for path in (out / METRICS).iterdir())
    assert (run.done, run.spark) == (2, "4.0.5")
    assert 50e6 < (run.peak_python_bytes or 0) < 20e9

    logged = [json.loads(line) for path in sorted(events.rglob("events_*")) for line in path.open()]
    started = [event for event in logged if event["Event"] == "SparkListenerJobStart"]
    names = [event["Properties"].get("spark.job.description") for event in started]
    rows = {step.step: step for step in run.steps}
    assert {name.partition(" ")[0] for name in names if name} == {"prepare", "survey", "draw", "extract"} == set(rows)
    assert names.count("prepare 1 slide") == 2
    extracted = [re.fullmatch(r"extract ([\d,]+) patch(es)? in \d+ units?", name) for name in names if name]
    assert sum(int(found[1].replace(",", "")) for found in extracted if found) == run.patches > 100
    assert sum(bool(re.fullmatch(r"survey \d+ units? of 1 slide", name or "")) for name in names) == 2
    stages = [event for event in logged if event["Event"] == "SparkListenerStageSubmitted"]
    assert [event["Properties"].get("spark.job.description") for event in stages] == names

    ended = [event for event in logged if event["Event"] == "SparkListenerTaskEnd"]
    of_stage = {event["Stage Info"]["Stage ID"]: name for event, name in zip(stages, names, strict=True)}
    for step, figures in rows.items():
        times = [
            event["Task Metrics"]["Executor Run Time"]
            for event in ended
            if (of_stage[event["Stage ID"]] or "").startswith(step)
        ]
        assert (figures.tasks, figures.task_seconds) == (len(times), pytest.approx(sum(times) / 1000))
