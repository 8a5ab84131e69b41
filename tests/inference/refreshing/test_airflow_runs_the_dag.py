"""Airflow, in an environment of its own, loads the DAG as it stands and runs it.

The environment is built from `airflow.lock.txt` under the user's cache folder and used again until the lock changes.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.inference.refreshing.conftest import Site

DAG = ROOT / "conf" / "schedules" / "histospark_refresh_dag.py"
LOCK = Path(__file__).with_name("airflow.lock.txt")
OFFLINE = re.compile(
    r"name resolution|NewConnectionError|timed? ?out|unreachable|Connection refused|dns error|error sending request"
    r"|Failed to fetch|ProxyError|SSLError",
    re.IGNORECASE,
)


def run(*command: object, **options: object) -> "subprocess.CompletedProcess[str]":
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def airflow() -> Path:
    """The program; built once, by uv where it is installed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "histospark-tests"
    version = re.search(r"^apache-airflow-core==(\S+)", LOCK.read_text(), flags=re.MULTILINE)
    assert version is not None
    folder = cache / f"airflow-{version[1]}"
    stamp, digest = folder / "lock.sha256", hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        made = run(sys.executable, "-m", "venv", "--clear", folder)
        assert made.returncode == 0, made.stderr
        python, options = folder / "bin" / "python", ("--require-hashes", "--no-deps", "-r", LOCK)
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if uv:
            done = run(uv, "pip", "install", "--quiet", "--python", python, *options)
        else:
            pip = ("-m", "pip", "--retries", "1", "--timeout", "20", "install", "--quiet", "--no-compile")
            done = run(python, *pip, *options)
        if done.returncode and OFFLINE.search(done.stderr):
            pytest.skip(f"Airflow cannot be installed: no way to the package index ({done.stderr.splitlines()[-1]})")
        assert done.returncode == 0, done.stderr[-3000:]
        stamp.write_text(digest)
    return folder / "bin" / "airflow"


def test_dag_does_the_refresh_and_fails_visibly_where_slides_fail(airflow: Path, site: Site, tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    shutil.copy(DAG, dags)
    program = tmp_path / "failing"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{airflow.parent}:{Path(sys.executable).parent}:/usr/bin:/bin",
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        **{f"AIRFLOW_VAR_HISTOSPARK_{name}": value for name, value in site.settings.items()},
    }
    migrated = run(airflow, "db", "migrate", env=environment, cwd=tmp_path)
    assert migrated.returncode == 0, migrated.stderr[-3000:]

    good = run(airflow, "dags", "test", "histospark_refresh", env=environment, cwd=tmp_path)
    said = good.stdout + good.stderr
    assert good.returncode == 0, said[-3000:]
    assert "state=success" in said
    assert "4 done before" in said
    summary = site.told()
    assert (summary.skipped, summary.exit_code) == (4, 0)
    assert str(site.slides) in summary.command

    environment["AIRFLOW_VAR_HISTOSPARK_COMMAND"] = str(program)
    failing = run(airflow, "dags", "test", "histospark_refresh", env=environment, cwd=tmp_path)
    said = failing.stdout + failing.stderr
    assert failing.returncode != 0
    assert "state=failed" in said
    assert "non-zero exit code 3" in said
