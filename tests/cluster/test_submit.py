"""What spark-submit is told, where it is looked for, and what wrong use is answered with, before anything starts."""

import ast
import json
import sys
from itertools import pairwise
from pathlib import Path

import click
import pyspark
import pytest

from cluster.entry import run_command
from cluster.errors import UsageError
from cluster.python_version import cause_in
from cluster.spark_home import SparkSubmit, find_spark_submit
from cluster.submit import Shipment, Target, own_settings, spark_submit_command
from cluster.submitted import ClusterRun, run_here, run_on_cluster
from cluster.yarn_logs import output_lines
from histospark.submit import arguments_of, ours_or_given, submit, whole_paths
from histospark.submit_engines import engines_of
from inference.engines.base import EngineName
from preprocessing.job import tile
from preprocessing.recipe import Recipe
from tests.cluster.older_spark import older_spark_home
from tests.cluster.stand_in import program
from tests.conftest import ROOT

STANDALONE = "spark://host:7077"
SHIPMENT = Shipment(Path("/c/env-1.tar.gz"), Path("/c/code.zip"), Path("/p/job.py"), (Path("/m/a.json"), Path("/m/b")))


def settings_in(command: list[str]) -> list[str]:
    return [word for before, word in pairwise(command) if before == "--conf"]


def test_driver_here_runs_this_python_and_executors_the_one_that_was_sent() -> None:
    command = spark_submit_command(Path("/s/spark-submit"), Target(STANDALONE), SHIPMENT, "a name", ["--out", "x"])
    assert command[:7] == ["/s/spark-submit", "--master", STANDALONE, "--deploy-mode", "client", "--name", "a name"]
    assert command[command.index("--archives") + 1] == "/c/env-1.tar.gz#environment"
    assert command[command.index("--py-files") + 1] == "/c/code.zip"
    assert command[command.index("--files") + 1] == "/m/a.json,/m/b"
    assert command[-3:] == ["/p/job.py", "--out", "x"]
    assert f"spark.pyspark.driver.python={sys.executable}" in settings_in(command)
    assert "spark.pyspark.python=./environment/bin/python" in settings_in(command)
    assert "appMasterEnv" not in " ".join(command)


def test_driver_on_a_node_runs_the_python_that_was_sent_and_is_not_started_twice() -> None:
    target = Target("yarn", "cluster", queue="slides", properties_file=Path("yarn.conf"))
    command = spark_submit_command(Path("spark-submit"), target, SHIPMENT, "a name", [])
    assert command[command.index("--queue") + 1] == "slides"
    assert command[command.index("--properties-file") + 1] == "yarn.conf"
    settings = dict(setting.split("=", 1) for setting in settings_in(command))
    python = {value for key, value in settings.items() if key.lower().endswith("python")}
    assert python == {"./environment/bin/python"}
    assert settings["spark.yarn.appMasterEnv.PYSPARK_PYTHON"] == "./environment/bin/python"
    assert sys.executable not in " ".join(command)


def test_settings_of_the_user_come_last_and_so_win() -> None:
    target = Target(STANDALONE, settings=("spark.pyspark.python=/opt/python", "spark.executor.cores=2"))
    command = spark_submit_command(Path("spark-submit"), target, SHIPMENT, "a name", [])
    assert settings_in(command)[-2:] == ["spark.pyspark.python=/opt/python", "spark.executor.cores=2"]


def test_patience_with_hanging_work_reaches_the_workers() -> None:
    given = {"HISTOSPARK_HANGS_AFTER": "30", "AWS_SECRET_ACCESS_KEY": "secret"}
    assert own_settings(Target(STANDALONE), given)["spark.executorEnv.HISTOSPARK_HANGS_AFTER"] == "30"
    on_node = own_settings(Target("yarn", "cluster"), given)
    assert on_node["spark.yarn.appMasterEnv.HISTOSPARK_HANGS_AFTER"] == "30"
    assert "secret" not in str(on_node)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--master", "local[2]"], "name yarn or spark://HOST:PORT"),
        (["--master", STANDALONE, "--deploy-mode", "cluster"], "leave out --deploy-mode cluster"),
        (["--master", STANDALONE, "--queue", "q"], "queues are YARN's"),
        (["--master", "yarn", "--spark-conf", "cores=2"], "write it as spark.KEY=VALUE"),
        (["--master", "yarn", "--properties-file", "conf/spark/none.conf"], "there is no such file"),
        (["--master", "yarn", "--conf", "none.yaml"], "none.yaml: there is no such file"),
        (["--master", "yarn", "--set", "tiling.strid=2"], "did you mean tiling.stride"),
        (["--master", "yarn", "--wave", "0"], "see --help"),
        (["--master", "yarn", "--spark-home", "/nowhere"], "which has no bin/spark-submit"),
        (["--master", "yarn", "--conf"], "see --help"),
    ],
)
def test_wrong_use_is_one_line_and_nothing_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], reason: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    recipe = [] if "--conf" in options else ["--conf", "demo.yaml"]
    given = ["tile", "--slides", str(tmp_path), "--out", str(tmp_path / "out"), *recipe, *options]
    assert run_command(submit, given) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line
    assert not list(tmp_path.iterdir())


def test_a_recipe_is_a_file_here_or_one_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ours_or_given("demo.yaml", "--conf").samefile(ROOT / "conf" / "demo.yaml")
    assert ours_or_given("conf/spark/gpu.conf", "--properties-file").samefile(ROOT / "conf" / "spark" / "gpu.conf")
    (tmp_path / "demo.yaml").write_text("name: mine")
    assert ours_or_given("demo.yaml", "--conf").samefile(tmp_path / "demo.yaml")
    with pytest.raises(UsageError, match=r"other\.yaml: there is no such file"):
        ours_or_given("other.yaml", "--conf")


def test_arguments_give_the_job_what_the_user_gave() -> None:
    """Judged by click itself, which reads both."""
    given = ["--conf", "a b.yaml", "--slides", "s", "--out", "o", "--set", "x=1", "--set", "y=[1, 2]", "--wave", "7"]
    parsed = tile.make_context("tile", list(given)).params
    own = [parameter for parameter in tile.params if parameter.name != "master"]
    again = tile.make_context("tile", arguments_of(own, parsed))
    assert again.params == parsed
    assert isinstance(again, click.Context)


def test_folders_are_named_by_their_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert whole_paths({"slides": "in/*.tif", "out": "hdfs://n/out", "conf": "x"}) == {
        "slides": f"{tmp_path}/in/*.tif",
        "out": "hdfs://n/out",
    }


@pytest.mark.parametrize(
    ("settings", "suffix", "given", "expected"),
    [
        ({}, ".xml", (), {"openvino"}),
        ({}, ".keras", (), {"keras"}),
        ({}, ".xml", ("spark.task.resource.gpu.amount=1",), {"openvino", "keras"}),
        ({"precision": "bfloat16"}, ".xml", ("spark.task.resource.gpu.amount=1",), {"openvino"}),
        ({"engine": "onnx"}, ".onnx", (), {"onnx"}),
        ({"engine": "keras"}, ".xml", (), {"keras"}),
    ],
)
def test_engines_that_may_compute_go_along(
    small: Recipe, settings: dict[str, str], suffix: str, given: tuple[str, ...], expected: set[EngineName]
) -> None:
    recipe = small.model_copy(update={"inference": small.inference.model_copy(update=settings)})
    files = (Path("model.keras"), Path(f"model{suffix}"))
    assert engines_of(recipe, files, Target(STANDALONE, settings=given)) == expected
    assert engines_of(recipe, (), Target(STANDALONE)) == frozenset()
    if "keras" in expected and "openvino" in expected:
        assert engines_of(recipe, files, Target("yarn", properties_file=ROOT / "conf/spark/gpu.conf")) == expected


def test_spark_that_submits_is_the_one_named_then_the_machine_s_then_pip_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, machine_s, on_path = (program(tmp_path / name, "exit 0") for name in ("named", "machine", "path"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{on_path.parent}:/usr/bin:/bin")
    monkeypatch.setenv("SPARK_HOME", str(machine_s.parent.parent))
    assert find_spark_submit(str(named.parent.parent)).program == named
    assert find_spark_submit(None) == SparkSubmit(machine_s, machine_s.parent.parent)
    monkeypatch.delenv("SPARK_HOME")
    monkeypatch.setenv("PATH", f"{on_path.parent}:/usr/bin:/bin")
    assert find_spark_submit(None) == SparkSubmit(on_path, None)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    pips = Path(pyspark.__file__).parent
    assert find_spark_submit(None) == SparkSubmit(pips / "bin" / "spark-submit", pips, is_pips=True)


def test_variables_that_choose_another_python_do_not_reach_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "SPARK_HOME"):
        monkeypatch.setenv(name, "/elsewhere")
    kept = SparkSubmit(Path("/s/bin/spark-submit"), Path("/s")).environment()
    assert kept["SPARK_HOME"] == "/s"
    assert not {"PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"} & kept.keys()


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_exit_code_of_a_driver_here_is_spark_submit_s(tmp_path: Path, code: int) -> None:
    made = program(tmp_path, f"exit {code}")
    assert run_here([str(made)], SparkSubmit(made, None)) == code


@pytest.mark.parametrize(
    ("said", "code", "expected"),
    [
        ("", 0, 0),
        ("INFO Client: Application report for application_17_0001 (state: RUNNING)", 0, 0),
        ("ERROR Client: Application diagnostics message: User application exited with status 3", 1, 3),
        ("ERROR Client: Application diagnostics message: User application exited with status 2", 1, 2),
        ("ERROR Client: Application diagnostics message: AM Container exited with exitCode: 137", 1, 1),
    ],
)
def test_exit_code_of_a_driver_on_yarn_is_read_from_its_diagnostics(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], said: str, code: int, expected: int
) -> None:
    made = program(tmp_path, f"echo '{said}' >&2; exit {code}")
    assert run_on_cluster([str(made)], SparkSubmit(made, None), logs_of=lambda _: None) == expected
    shown = capfd.readouterr().err
    assert said in shown
    assert ("yarn logs -applicationId application_17_0001" in shown) == ("application_17" in said)


def test_application_is_known_once_yarn_took_it() -> None:
    run = ClusterRun()
    run.hear("26/11/21 10:00:00 INFO YarnClientImpl: Submitted application application_1700000000000_0042\n")
    assert (run.application, run.status) == ("application_1700000000000_0042", None)


def test_one_log_of_a_driver_is_told_from_the_other() -> None:
    kept = (
        "Container: container_1_0001_01_000001 on host_8041\nLogAggregationType: AGGREGATED\n=======\n"
        "LogType:stderr\nLogLastModifiedTime:Sat Nov 21\nLogLength:300\nLogContents:\n"
        "failed  broken: SlideOpenError: no slide\n"
        "\nEnd of LogType:stderr\n***********************\n\n"
        "LogType:stdout\nLogLength:30\nLogContents:\n3 slides done, 1 failed\nEnd of LogType:stdout\n****\n"
    )
    assert list(output_lines(kept, "stderr")) == ["failed  broken: SlideOpenError: no slide", ""]
    assert list(output_lines(kept, "stdout")) == ["3 slides done, 1 failed"]


@pytest.mark.parametrize("older", [False, True], ids=["spark-4.0", "spark-3.5"])
def test_another_python_on_executors_is_told_in_one_line(older: bool) -> None:
    """By the very message of each Spark."""
    if older:
        source = ast.parse((older_spark_home() / "errors" / "error_classes.py").read_text())
        known = json.loads(next(node.value.value for node in source.body if isinstance(node, ast.Assign)))  # type: ignore[attr-defined]
    else:
        known = json.loads((Path(pyspark.__file__).parent / "errors" / "error-conditions.json").read_text())
    said = "\n".join(known["PYTHON_VERSION_MISMATCH"]["message"])
    said = said.replace("<worker_version>", "3.9").replace("<driver_version>", "3.11")
    assert cause_in(f"Job aborted: {said}") == "the executors run Python 3.9, the driver Python 3.11"


def test_other_failures_of_a_task_are_left_alone() -> None:
    assert cause_in("java.lang.OutOfMemoryError: Java heap space") is None
