"""YARN takes a job's containers away, executors and driver alike: that costs time, nothing else."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cluster.hadoop.servers import Hadoop
from tests.cluster.hadoop.settings import URGENT
from tests.cluster.hadoop.submitting import SMALL, application, ended, spark_submit
from tests.conftest import ROOT, Command
from tests.tables import digests, ledger_of

TILE = ROOT / "preprocessing" / "job.py"
RECIPE = ("--conf", ROOT / "conf" / "demo.yaml", "--set", "tiling.block=128", "--set", "tiling.blocks_per_shard=1")
URGENTLY = Path(__file__).with_name("jobs") / "urgent.py"
# Of two nodes with 4096 MB each, the job takes 896 + 2 x 2816 MB and leaves 1664 MB.
LARGE = {**SMALL, "spark.executor.instances": "2", "spark.executor.memory": "2432m"}


@pytest.fixture(scope="module")
def undisturbed(drawn: Path, histospark: Command, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of the table of a local run."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    run = histospark("tile", *RECIPE, "--slides", drawn, "--out", out)
    assert run.returncode == 0, run.stderr[-3000:]
    return digests(out)


def test_preempted_executor_does_not_count_against_its_slides(
    hadoop: Hadoop, drawn: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """With one attempt for each task: a slide that an executor's end counted against would fail."""
    out, now = tmp_path / "out", tmp_path / "now"
    wants_more_than_is_left = {**SMALL, "spark.yarn.am.memory": "2g"}
    urgent = spark_submit(hadoop, "--queue", URGENT, URGENTLY, now, settings=wants_more_than_is_left)
    settings = {**LARGE, "spark.task.maxFailures": "1"}
    job = spark_submit(hadoop, TILE, *RECIPE, "--slides", drawn, "--out", out, settings=settings)
    when(lambda: job.poll() is not None or next(out.rglob("*.parquet"), None) is not None)
    workers = processes(hadoop, rb"pyspark\.daemon\0")
    for worker in workers:  # the job is in the midst of its work until YARN has acted
        os.kill(worker, signal.SIGSTOP)
    now.touch()
    when(lambda: job.poll() is not None or not all(map(runs, workers)))
    for worker in workers:
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGCONT)
    code, said = ended(job)
    assert code == 0, said[-3000:]
    assert "was preempted" in said
    assert "trying again in parts" not in said
    urgents_code, urgents_words = ended(urgent)
    assert urgents_code == 0, urgents_words[-3000:]
    assert digests(out) == undisturbed
    assert list(ledger_of(out)["status"]) == ["done"] * 3


def test_driver_that_dies_is_started_again_and_goes_on(
    hadoop: Hadoop, drawn: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """It finds the lock of the one before, as fresh as if that still lived."""
    out, settings = tmp_path / "out", {**SMALL, "spark.yarn.maxAppAttempts": "2"}
    job = spark_submit(
        hadoop, "--deploy-mode", "cluster", TILE, *RECIPE, "--slides", drawn, "--out", out,
        settings={**settings, "spark.yarn.appMasterEnv.PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    when(lambda: job.poll() is not None or next(out.rglob("*.parquet"), None) is not None)
    for process in processes(hadoop, rb"\0CONTAINER_ID=container_\w+_01_000001\0"):  # the driver's Java and Python
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    (lock,) = out.glob("_lock-*.json")
    lock.write_text(json.dumps(json.loads(lock.read_text()) | {"machine": "another node"}))
    code, said = ended(job)
    logs = hadoop.logs(application(said))
    assert code == 0, logs[-6000:]
    assert "took over the lock of histospark tile" in logs
    assert digests(out) == undisturbed
    assert not list(out.glob("_lock-*"))


def when(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300  # for what never comes
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen")
        time.sleep(0.02)


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def processes(hadoop: Hadoop, pattern: bytes) -> list[int]:
    """Those in containers of the servers whose command line or environment, each word ended by a 0, has a pattern."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended, or is another user's
            environment = (place / "environ").read_bytes()
            known = (place / "cmdline").read_bytes() + b"\0" + environment
            if b"CONTAINER_ID=" in environment and bytes(hadoop.folder) in environment and re.search(pattern, known):
                found.append(int(place.name))
    return found
