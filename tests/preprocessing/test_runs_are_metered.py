"""Every run leaves its figures in `metrics/`, however it ends."""

import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark import TaskContext
from pyspark.sql import SparkSession

from cluster.errors import JobError
from cluster.stage_names import stage
from cluster.storage import Store
from preprocessing.batch import Batch
from preprocessing.inventory import SlideEntry, inventory
from preprocessing.job import run_tiling
from preprocessing.ledger import Outcome
from preprocessing.publish import SlideTable
from preprocessing.recipe import Recipe
from preprocessing.run_metrics import METRICS, RunMetrics, StepMetrics
from tests.tables import ledger_of


def runs_of(out: Path) -> list[RunMetrics]:
    runs = [RunMetrics.model_validate_json(path.read_text()) for path in (out / METRICS).iterdir()]
    return sorted(runs, key=lambda run: run.started)


def steps_of(run: RunMetrics) -> dict[str, StepMetrics]:
    return {step.step: step for step in run.steps}


def bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_figures_of_a_run_are_those_of_files_ledger_and_spark(
    spark: SparkSession, drawn: Path, small: Recipe, tmp_path: Path
) -> None:
    slides, out = tmp_path / "slides", tmp_path / "out"
    slides.mkdir()
    for file in drawn.glob("tumor_0*"):
        os.link(file, slides / file.name)
    (slides / "broken.tif").write_bytes(b"no slide")
    entries = inventory(str(slides), small.tiling, small.seed)
    before = datetime.now(UTC)
    summary = run_tiling(spark, small, entries, str(out), wave=2)
    (run,) = runs_of(out)
    assert (run.job, run.error, run.master) == ("tile", None, "local[2,3]")
    assert run.application_id == spark.sparkContext.applicationId
    assert before <= run.started <= run.ended <= datetime.now(UTC)
    assert (run.done, run.empty, run.failed, run.skipped) == (2, 0, 1, 0)
    assert (run.patches, run.positives) == (summary.patches, summary.positives)
    assert run.source_bytes == sum((slides / f"tumor_0{number}.tif").stat().st_size for number in (1, 2))
    assert run.written_bytes == bytes_below(out / "patches") > 0

    steps = steps_of(run)
    assert steps.keys() == {"prepare", "survey", "draw", "extract"}
    assert (steps["prepare"].times, steps["prepare"].tasks, steps["survey"].times) == (2, 3, 2)
    assert sum(step.seconds for step in run.steps) <= run.seconds
    for step in run.steps:
        assert step.failed_tasks == 0
        assert 0 < (step.task_seconds or 0) <= 2 * step.seconds + 0.1, "two cores"
    worked = sum(steps[name].task_seconds or 0 for name in ("survey", "extract"))
    assert ledger_of(out)["seconds"].sum() <= worked + 0.1

    again = run_tiling(spark, small, [entry for entry in entries if entry.slide_id != "broken"], str(out))
    assert again.skipped == 2
    second = runs_of(out)[-1]
    assert (second.skipped, second.done, second.written_bytes, second.steps) == (2, 0, 0, ())
    assert len(runs_of(out)) == 2


def test_a_run_that_ends_early_leaves_its_figures_and_the_reason(
    spark: SparkSession, drawn: Path, small: Recipe, tmp_path: Path
) -> None:
    entries = inventory(str(drawn), small.tiling, small.seed)

    def do_wave(wave: Sequence[SlideEntry]) -> list[Outcome]:
        with stage(spark, f"look at {wave[0].slide_id}"):
            if wave[0].slide_id == "tumor_02":
                raise JobError("the moon is full;\nwait for the new one")
            spark.sparkContext.parallelize([0], 1).map(_fails_once).collect()
        return [Outcome(entry, "empty") for entry in wave]

    batch = Batch(spark, "tile", SlideTable(Store(str(tmp_path)), "patches"), "a", wave=1)
    with pytest.raises(JobError, match="the moon is full"):
        batch.run(entries, do_wave)
    (run,) = runs_of(tmp_path)
    assert run.error == "the moon is full;"
    assert (run.empty, run.done, run.written_bytes) == (2, 0, 0)
    (looked,) = run.steps
    assert (looked.times, looked.tasks, looked.failed_tasks) == (3, 2, 2)


def test_figures_that_cannot_be_kept_cost_a_line_in_the_log_only(
    spark: SparkSession, small: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / METRICS).write_text("a file where the folder would be")
    batch = Batch(spark, "tile", SlideTable(Store(str(tmp_path)), "patches"), small.recipe_id, wave=1)
    with caplog.at_level(logging.WARNING, "histospark"):
        assert batch.run([SlideEntry("a", "/a", split="train")], lambda _: [Outcome(_entry(), "empty")]).empty == 1
    assert "the figures of this run were not kept" in caplog.text


def _entry() -> SlideEntry:
    return SlideEntry("a", "/a", split="train")


def _fails_once(number: int) -> int:
    context = TaskContext.get()
    if context is not None and context.attemptNumber() == 0:
        raise ValueError("the first attempt fails")
    return number
