"""A step's name reaches Spark and those who listen, and what was there before comes back."""

import io
import logging

import pytest
from pyspark.sql import SparkSession
from rich.console import Console

from cluster.progress import Progress
from cluster.stage_figures import await_figures, stage_figures
from cluster.stage_names import Stage, stage, told_of_stages
from cluster.words import counted


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.stages: list[Stage] = []

    def began(self, stage: Stage) -> None:
        self.heard.append(("began", stage.name))
        self.stages.append(stage)

    def ended(self, stage: Stage, seconds: float) -> None:
        assert seconds >= 0
        self.heard.append(("ended", stage.name))


def described(spark: SparkSession) -> list[str | None]:
    """Name of a Spark job that is started now, and the group it is in."""
    return [spark.sparkContext.getLocalProperty(f"spark.{key}") for key in ("job.description", "jobGroup.id")]


def test_names_come_and_go_also_inside_each_other_and_after_errors(spark: SparkSession) -> None:
    spark.sparkContext.setJobGroup("a person's", "a notebook")
    listener = Listener()
    try:
        with told_of_stages(listener), stage(spark, "outer work"):
            with pytest.raises(ValueError, match="inner work"), stage(spark, "inner work"):
                raise ValueError(described(spark)[0])
            assert described(spark)[0] == "outer work"
        assert described(spark) == ["a notebook", "a person's"]
    finally:
        for key in ("spark.job.description", "spark.jobGroup.id"):
            spark.sparkContext.setLocalProperty(key, None)  # type: ignore[arg-type]
    assert listener.heard == [
        ("began", "outer work"), ("began", "inner work"), ("ended", "inner work"), ("ended", "outer work")
    ]  # fmt: skip
    with stage(spark, "nobody listens"):
        pass
    assert described(spark) == [None, None]


def test_figures_are_of_the_jobs_of_their_step_only(spark: SparkSession) -> None:
    listener = Listener()
    with told_of_stages(listener):
        for jobs in (1, 2):
            with stage(spark, f"do {jobs}"):
                for _ in range(jobs):
                    spark.sparkContext.parallelize(range(3), 3).count()
    await_figures(spark)
    found = [stage_figures(spark, each) for each in listener.stages]
    assert [(each.tasks, each.failed_tasks) for each in found if each is not None] == [(3, 0), (6, 0)]


def test_progress_says_what_the_wave_is_at(caplog: pytest.LogCaptureFixture, spark: SparkSession) -> None:
    now = [0.0]
    progress = Progress("tile", 4, wave=4, console=Console(file=io.StringIO()), clock=lambda: now[0])
    with caplog.at_level(logging.INFO, "histospark"), told_of_stages(progress):
        now[0] = 31.0
        with stage(spark, "survey 12 units of 4 slides"):
            progress.tasks(3, 12)
    assert caplog.messages[0].endswith("3 of 12 tasks of this wave (survey 12 units of 4 slides)")


def test_numbers_have_the_noun_they_need() -> None:
    assert [counted(number, "slide") for number in (0, 1, 1234)] == ["0 slides", "1 slide", "1,234 slides"]
    assert [counted(1, "patch"), counted(2, "patch")] == ["1 patch", "2 patches"]
