"""Machines that die, executors that are killed, stragglers, black holes: the table is that of an undisturbed run.

In every case work in progress is hit, see `disturbances`, and no good slide is given up for it.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.recipe_file import load_recipe
from tests.cluster.background_job import BackgroundJob
from tests.cluster.disturbances import executors, go_on, kill, machine_of, stop, stopped_at_work, wait_for
from tests.cluster.standalone import StandaloneCluster
from tests.conftest import ROOT
from tests.tables import digests, ledger_of

CONF = str(ROOT / "conf" / "demo.yaml")
DENSE = ("tiling.block=256", "tiling.blocks_per_shard=1", "tiling.stride=8")  # units of about 0.3 s
WHOLE = ("tiling.stride=8", "tiling.block=1024")  # one unit a slide
PAIRS_NOTICED_SOON = {
    "spark.network.timeout": "10s", "spark.network.timeoutInterval": "1s", "spark.executor.heartbeatInterval": "1s",
    "spark.executor.cores": "2", "spark.cores.max": "4",
}  # fmt: skip
SPECULATION = {
    "spark.speculation": "true", "spark.speculation.quantile": "0.2", "spark.speculation.multiplier": "1.1",
}  # fmt: skip


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneCluster]:
    """A master that takes a worker for dead after 10 s."""
    silent = {"SPARK_DAEMON_JAVA_OPTS": "-Dspark.worker.timeout=10"}
    with StandaloneCluster(tmp_path_factory.mktemp("cluster"), 0, 2, "1g", environment=silent) as cluster:
        yield cluster


@pytest.fixture
def cluster(running: StandaloneCluster) -> StandaloneCluster:
    """With two workers that live, each of a host of its own by Spark's opinion; else it would copy no task."""
    for _ in range(2 - sum(worker.process.poll() is None for worker in running.workers)):
        running.add_worker(f"127.0.0.{len(running.workers) + 1}")
    running.wait_for_workers(2)
    return running


@pytest.fixture(scope="module")
def undisturbed(spark: SparkSession, drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return table_of(spark, drawn, tmp_path_factory.mktemp("undisturbed"), DENSE)


def table_of(spark: SparkSession, slides: Path, out: Path, overrides: Sequence[str]) -> dict[str, str]:
    recipe = load_recipe(CONF, overrides)
    run_tiling(spark, recipe, inventory(str(slides), recipe.tiling, recipe.seed), str(out))
    return digests(out)


def job_on(
    cluster: StandaloneCluster,
    slides: Path,
    folder: Path,
    settings: Mapping[str, str],
    overrides: Sequence[str] = DENSE,
    wave: int = 1,
) -> BackgroundJob:
    """`histospark tile`, slide after slide if not asked otherwise."""
    sets = [argument for override in overrides for argument in ("--set", override)]
    arguments = ("tile", "--conf", CONF, *sets, "--slides", slides, "--out", folder / "out", "--wave", wave)
    return BackgroundJob(cluster, folder, arguments, settings)


def assert_all_is_well(job: BackgroundJob, folder: Path, expected: dict[str, str]) -> None:
    """It ends with code 0 and the table of an undisturbed run, nothing is left, and every slide is done at once."""
    assert job.code() == 0, job.said[-3000:]
    out = folder / "out"
    assert digests(out) == expected
    assert not list(out.rglob("_*"))
    rows = ledger_of(out)
    assert rows["slide_id"].tolist() == ["normal_01", "tumor_01", "tumor_02"]
    assert set(rows["status"]) == {"done"}


def lost_in(job: BackgroundJob) -> list[str]:
    """Why each executor went that went before the job's end."""
    return [str(event["Removed Reason"]) for event in job.events("ExecutorRemoved")]


def cut_short_in(job: BackgroundJob) -> int:
    """Tasks that were at work when their executor went."""
    return sum(event["Task End Reason"]["Reason"] == "ExecutorLostFailure" for event in job.events("TaskEnd"))


def test_machine_dies(cluster: StandaloneCluster, drawn: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    with job_on(cluster, drawn, tmp_path, {}) as job:
        wait_for(lambda: list(tmp_path.glob("out/slides/*.parquet")), "no slide is done")
        executor = stopped_at_work(cluster)
        kill(machine_of(executor.worker))
        assert job.runs()
        assert_all_is_well(job, tmp_path, undisturbed)
    assert lost_in(job)
    assert cut_short_in(job) == 1


def test_executors_are_killed_at_random_moments(
    cluster: StandaloneCluster, drawn: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """Their Python workers live on for a while, without a JVM that would hear of what they write."""
    rng, kills = random.Random(6), 0
    with job_on(cluster, drawn, tmp_path, {}) as job:
        wait_for(lambda: any(executor.units for executor in executors(cluster)), "no executor is at work")
        while job.runs() and kills < 2:
            time.sleep(rng.uniform(0, 2))
            living = executors(cluster)
            if living and job.runs():
                kill([rng.choice(living).jvm])
                kills += 1
        assert_all_is_well(job, tmp_path, undisturbed)
    assert kills == 2
    assert len(lost_in(job)) >= kills


def test_same_task_loses_its_executor_twice(
    cluster: StandaloneCluster, spark: SparkSession, drawn: Path, tmp_path: Path
) -> None:
    """For Spark's count of attempts it looks like a slide that ends its workers: it is done once more, alone."""
    with job_on(cluster, drawn, tmp_path, {}, WHOLE) as job:
        unit = ""
        executor = stopped_at_work(cluster)
        while executor.units != {unit}:  # a short task may be repeated before we are there
            (unit,) = executor.units
            kill(executor.tree)
            executor = stopped_at_work(cluster)
        kill(executor.tree)
        assert_all_is_well(job, tmp_path, table_of(spark, drawn, tmp_path / "undisturbed", WHOLE))
    assert cut_short_in(job) >= 2
    assert "was given up, but executor" in job.said


def test_straggler_and_its_speculative_copy(
    cluster: StandaloneCluster, drawn: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """A Python worker stands still until the copy of its task is at work elsewhere: then both go on.

    All slides in one wave, as Spark copies no task that is alone in its stage.
    """
    with job_on(cluster, drawn, tmp_path, SPECULATION, wave=3) as job:
        executor = stopped_at_work(cluster)
        (unit,) = executor.units
        stragglers = executor.python_workers
        go_on(set(executor.tree) - set(stragglers))

        def copied() -> bool:
            return any(unit in other.units for other in executors(cluster) if other.jvm != executor.jvm)

        wait_for(lambda: copied() or not job.runs(), "no copy was started")
        go_on(stragglers)
        assert_all_is_well(job, tmp_path, undisturbed)
    assert any(event["Task Info"]["Speculative"] for event in job.events("TaskEnd"))


def test_machine_falls_silent_and_comes_back_too_late(
    cluster: StandaloneCluster, drawn: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """Of its two Python workers one goes on when their slide is in the table, and one when the job has ended."""

    def published() -> int:
        return len(list(tmp_path.glob("out/patches/split=*/slide_id=*")))

    with job_on(cluster, drawn, tmp_path, PAIRS_NOTICED_SOON) as job:
        executor = stopped_at_work(cluster, least=2)
        machine, before = machine_of(executor.worker), published()
        try:
            stop(machine)
            early, late = executor.python_workers
            wait_for(lambda: published() > before or not job.runs(), "their slide is not done elsewhere")
            assert job.runs()
            go_on([early])
            wait_for(lambda: len(executor.units) == 1, "the first does not go on")
            assert_all_is_well(job, tmp_path, undisturbed)
            go_on([late])
            wait_for(lambda: not executor.units, "the second does not go on")
        finally:
            go_on(machine)
        wait_for(lambda: executor not in executors(cluster), "the executor does not give up")
        assert_all_is_well(job, tmp_path, undisturbed)
    assert lost_in(job)
    assert cut_short_in(job) >= 2
