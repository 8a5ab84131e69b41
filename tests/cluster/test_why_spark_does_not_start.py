"""Where Spark does not start, its own reason is told, in one line."""

from pathlib import Path

from tests.conftest import Command


def test_a_missing_folder_of_event_logs_is_named(histospark: Command, drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "spark-defaults.conf").write_text(
        f"spark.eventLog.enabled true\nspark.eventLog.dir file://{tmp_path}/nowhere\n"
    )
    arguments = ["--conf", "conf/demo.yaml", "--slides", drawn, "--out", tmp_path / "out"]
    said = histospark("tile", *arguments, SPARK_CONF_DIR=str(tmp_path))
    assert said.returncode == 1
    (line,) = [line for line in said.stderr.splitlines() if line.startswith("histospark:")]
    assert f"Spark did not start: File file:{tmp_path}/nowhere does not exist" in line
