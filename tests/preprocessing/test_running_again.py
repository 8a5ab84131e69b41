"""A second run does what is new, changed or failed, opens nothing else, and clears what a dead run left behind."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from preprocessing.batch import BatchSummary
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.recipe import Recipe
from tests.tables import digests, ledger_of, patches_of

Run = Callable[[], BatchSummary]


@pytest.fixture
def slides(drawn: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "slides"
    shutil.copytree(drawn, folder)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def run(spark: SparkSession, slides: Path, out: Path, small: Recipe) -> Run:
    return lambda: run_tiling(spark, small, inventory(str(slides), small.tiling, small.seed), str(out))


def spoil_unnoticed(slide: Path) -> None:
    """Replace a slide by garbage of the same size and time: only who opens it can tell."""
    state = slide.stat()
    slide.write_bytes(b"x" * state.st_size)
    os.utime(slide, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_second_run_opens_no_slide_and_adds_no_row(run: Run, slides: Path, out: Path) -> None:
    assert run().done == 3
    before, rows = digests(out), len(ledger_of(out))
    for slide in slides.glob("*.tif"):
        spoil_unnoticed(slide)
    again = run()
    assert (again.done, again.failed, again.skipped) == (0, 0, 3)
    assert digests(out) == before
    assert len(ledger_of(out)) == rows


def test_new_slide_adds_only_its_own_rows(run: Run, slides: Path, out: Path) -> None:
    late = slides / "tumor_02.tif"
    kept = late.rename(slides / "tumor_02.later")
    assert run().done == 2
    before = digests(out)
    kept.rename(late)
    assert run().done == 1
    after = digests(out)
    assert {path: after[path] for path in before} == before
    assert {path.split("slide_id=")[1].split("/")[0] for path in set(after) - set(before)} == {"tumor_02"}


def test_damaged_slide_is_tried_again_and_counted(run: Run, slides: Path, out: Path) -> None:
    good = (slides / "normal_01.tif").read_bytes()
    (slides / "normal_01.tif").write_bytes(good[: len(good) // 3])
    first = run()
    assert (first.done, first.failed) == (2, 1)
    (slides / "normal_01.tif").write_bytes(good)
    second = run()
    assert (second.done, second.failed, second.skipped) == (1, 0, 2)
    attempts = ledger_of(out).query("slide_id == 'normal_01'")
    assert attempts["status"].tolist() == ["failed", "done"]
    assert attempts["attempt"].tolist() == [1, 2]


def test_slide_that_became_unreadable_leaves_the_table(run: Run, slides: Path, out: Path) -> None:
    """The table never holds patches of a slide whose last attempt failed."""
    run()
    (slides / "tumor_01.tif").write_bytes(b"not a slide any more")
    assert run().failed == 1
    assert patches_of(out, "tumor_01").empty
    assert not patches_of(out, "tumor_02").empty


def test_leftovers_of_a_dead_run_are_cleared_and_done_again(run: Run, out: Path) -> None:
    run()
    before = digests(out)
    # Died while writing; died after the move into the table, before the ledger; somebody removed a slide's folder.
    half = out / "_staging" / "dead" / "split=train" / "slide_id=tumor_01"
    half.mkdir(parents=True)
    (half / "part-00000.parquet").write_bytes(b"half a file")
    unknown = out / "patches" / "split=train" / "slide_id=ghost" / "label=0"
    unknown.mkdir(parents=True)
    (unknown / "part-00000.parquet").write_bytes(b"nobody's rows")
    shutil.rmtree(out / "patches" / "split=train" / "slide_id=tumor_02")
    again = run()
    assert (again.done, again.skipped) == (1, 2)
    assert digests(out) == before
    assert not (out / "_staging").exists()


def test_other_recipe_cuts_all_slides_anew(
    spark: SparkSession, run: Run, slides: Path, out: Path, small: Recipe
) -> None:
    run()
    other = small.model_copy(update={"tiling": small.tiling.model_copy(update={"stride": 40})})
    summary = run_tiling(spark, other, inventory(str(slides), other.tiling, other.seed), str(out))
    assert summary.done == 3
    assert set(patches_of(out, "tumor_01")["recipe_id"]) == {other.recipe_id}


def test_names_with_signs_of_patterns_are_only_names(
    spark: SparkSession, drawn: Path, small: Recipe, tmp_path: Path
) -> None:
    """Scanners write such names; as patterns they would match nothing, or another slide."""
    slides, out = tmp_path / "slides [new]", tmp_path / "out"
    slides.mkdir()
    names = ["case[1] é", "case1 é", "tumor*"]
    for name in names:
        for ending in (".tif", ".xml"):
            shutil.copy(drawn / f"tumor_01{ending}", slides / f"{name}{ending}")
    for seed in (1, 2):  # the second recipe replaces every slide of the first
        recipe = small.model_copy(update={"seed": seed})
        summary = run_tiling(spark, recipe, inventory(str(slides), recipe.tiling, seed), str(out))
        assert (summary.done, summary.failed) == (3, 0)
        tables = {name: pd.concat(map(pd.read_parquet, files_of(out, name))) for name in names}
        assert {len(table) for table in tables.values()} == {summary.patches // 3}
        assert all(set(table["recipe_id"]) == {recipe.recipe_id} for table in tables.values())
    assert set(spark.read.parquet(str(out / "patches")).toPandas()["slide_id"]) == set(names)


def files_of(out: Path, slide_id: str) -> list[Path]:
    return [path for path in out.rglob("patches/**/*.parquet") if f"slide_id={slide_id}" in path.parts]
