"""docs/tables.md tells the truth: every example on it gives what it says.

An example is a fenced block behind `<!-- check: NAME, after: NAMES -->`: the examples NAMES run before it, in the same
session. What it gives is compared by the check of that name below, with what the paths and footers of the files say.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from histospark.drawing import draw_slide
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.ledger_schema import SCHEMA
from preprocessing.recipe import Recipe
from preprocessing.run_metrics import RunMetrics
from tests.conftest import ROOT
from tests.docs.hive_session import ANSWER
from tests.docs.older_and_judged import write_old_ledger, write_predictions
from tests.docs.tables_page import EXAMPLES, PAGE, columns_of
from tests.tables import patches_of

Counts = dict[tuple[str, str, int | None], int]


@pytest.fixture(scope="module")
def out(spark: SparkSession, small: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of `tile` on slides whose names look like numbers; one has no annotation, one is broken.

    The ledger has a file from before its newest columns, and there are predictions as `infer` writes them.
    """
    slides, out = tmp_path_factory.mktemp("slides"), tmp_path_factory.mktemp("out")
    draw_slide(slides, "0012", seed=3, side=1024, lesions=2)
    draw_slide(slides, "0013", seed=1, side=1024, lesions=2)
    draw_slide(slides, "0100", seed=2, side=1024, lesions=0)
    for beside in [*slides.glob("0100.xml"), *slides.glob("0100_mask*")]:
        beside.unlink()
    (slides / "0666.tif").write_bytes(b"no slide")
    write_old_ledger(out)
    summary = run_tiling(spark, small, inventory(str(slides), small.tiling, small.seed), str(out))
    assert (summary.done, summary.failed) == (3, 1), summary.faults
    write_predictions(out)
    return out


def counts_of(out: Path) -> Counts:
    """Rows by split, slide and label: from paths and footers."""
    found: Counts = {}
    for path in out.glob("patches/*/*/*/*.parquet"):
        split, slide, label = (part.partition("=")[2] for part in path.parts[-4:-1])
        key = (split, slide, None if label == "__HIVE_DEFAULT_PARTITION__" else int(label))
        found[key] = found.get(key, 0) + pq.read_metadata(path).num_rows
    return found


def per_slide(counts: Counts, positive: bool = False) -> dict[str, int]:
    found: dict[str, int] = {}
    for (_, slide, label), rows in counts.items():
        if not positive or label:
            found[slide] = found.get(slide, 0) + rows
    return found


def as_counts(rows: list[tuple[Any, ...]]) -> Counts:
    return {(split, slide, None if label is None else int(label)): int(n) for split, slide, label, n in rows}


class Session:
    """Runs an example and all that goes before it; `result` is the last query's, `names` what Python blocks made."""

    def __init__(self, spark: SparkSession, out: Path) -> None:
        self.spark, self.out = spark, out
        self.duck = duckdb.connect()
        self.names: dict[str, Any] = {"spark": spark, "out": str(out)}
        self.result: Any = None

    def run(self, name: str) -> None:
        example = EXAMPLES[name]
        for before in example.after:
            self.run(before)
        code = example.code.replace("OUT/", f"{self.out}/")
        if example.language == "python":
            exec(compile(code, f"docs/tables.md, {name}", "exec"), self.names)
        else:
            self.result = self.spark.sql(code) if name.startswith("spark_") else self.duck.sql(code)

    def rows(self) -> list[tuple[Any, ...]]:
        if isinstance(self.result, DataFrame):
            return [tuple(row) for row in self.result.collect()]
        return [tuple(row) for row in self.result.fetchall()]


Check = Callable[[Session, Path], None]
CHECKS: dict[str, Check] = {}


def check(*names: str) -> Callable[[Check], Check]:
    def add(function: Check) -> Check:
        CHECKS.update(dict.fromkeys(names, function))
        return function

    return add


@check("spark_view", "duckdb_view")
def view_has_columns_and_types_of_the_page(session: Session, out: Path) -> None:
    source = session.spark.table("patches") if session.result is not None else None
    if source is None:
        source = session.duck.table("patches")
    assert sorted(source.columns) == sorted(row[0] for row in columns_of("## Patches", images=2))
    assert sum(counts_of(out).values()) == (source.count() if isinstance(source, DataFrame) else len(source))


@check("spark_counts", "duckdb_counts")
def counts_equal_the_footers(session: Session, out: Path) -> None:
    assert as_counts(session.rows()) == counts_of(out)


@check("polars_counts")
def polars_counts_equal_the_footers(session: Session, out: Path) -> None:
    assert as_counts(session.names["counts"].rows()) == counts_of(out)


@check("pyspark_counts")
def positives_equal_the_footers(session: Session, out: Path) -> None:
    found = {row["slide_id"]: row["count"] for row in session.names["positives"].collect()}
    assert found == per_slide(counts_of(out), positive=True)


@check("pandas_patches")
def pandas_reads_one_slide_whole(session: Session, out: Path) -> None:
    patches, expected = session.names["patches"], patches_of(out, "0012")
    assert set(patches["slide_id"]) == {"0012"}
    assert sorted(zip(patches["patch_id"], patches["label"], strict=True)) == sorted(
        zip(expected["patch_id"], expected["label"], strict=True)
    )


@check("decode")
def image_is_a_window(session: Session, out: Path) -> None:
    assert session.names["image"].shape == (80, 80, 3)
    assert session.names["image"].dtype == np.uint8
    assert out.exists()


@check("duckdb_region")
def region_equals_a_search_through_all_rows(session: Session, out: Path) -> None:
    every = patches_of(out, "0012")
    near = every[(every["x"] <= 250) & (every["y"] <= 250)]
    assert 0 < len(near) < len(every)
    assert sorted(session.rows()) == sorted(near[["patch_id", "x", "y"]].itertuples(index=False, name=None))


@check("recipe")
def footer_tells_the_recipe(session: Session, out: Path) -> None:
    recipe = Recipe.model_validate(session.names["recipe"])
    assert recipe.tiling.stride == 32
    assert session.names["recipe_id"].decode() == recipe.recipe_id == patches_of(out, "0012")["recipe_id"][0]
    assert f"now `{session.names['version'].decode()}`" in PAGE


@check("spark_ledger")
def spark_reads_old_and_new_ledger_files(session: Session, out: Path) -> None:
    ledger = session.spark.table("ledger")
    assert sorted(ledger.columns) == sorted(SCHEMA.names)
    assert ledger.count() == 6
    assert out.exists()


LAST = {("tile", "0012"): 2, ("infer", "0012"): 1, ("tile", "0013"): 1, ("tile", "0100"): 1, ("tile", "0666"): 1}


@check("spark_last")
def spark_keeps_the_last_attempts(session: Session, out: Path) -> None:
    rows = session.spark.table("slides").select("job", "slide_id", "attempt", "status", "reader").collect()
    assert {(job, slide): attempt for job, slide, attempt, *_ in rows} == LAST
    assert {slide: status for job, slide, _, status, _ in rows if job == "tile"} == {
        "0012": "done", "0013": "done", "0100": "done", "0666": "failed"
    }  # fmt: skip
    assert len(rows) == len(LAST)
    assert out.exists()


@check("duckdb_slides")
def duckdb_keeps_the_last_attempts(session: Session, out: Path) -> None:
    rows = session.duck.sql("SELECT job, slide_id, attempt FROM slides").fetchall()
    assert sorted(rows) == sorted((*key, attempt) for key, attempt in LAST.items())
    assert sorted(session.duck.table("slides").columns) == sorted(SCHEMA.names)
    assert out.exists()


@check("pandas_slides")
def pandas_keeps_the_last_attempts(session: Session, out: Path) -> None:
    slides = session.names["slides"]
    assert dict(zip(zip(slides["job"], slides["slide_id"], strict=True), slides["attempt"], strict=True)) == LAST
    assert len(slides) == len(LAST)
    assert out.exists()


@check("polars_slides")
def polars_keeps_the_last_attempts(session: Session, out: Path) -> None:
    slides = session.names["slides"]
    assert {(job, slide): attempt for job, slide, attempt in slides["job", "slide_id", "attempt"].rows()} == LAST
    assert sorted(slides.columns) == sorted(SCHEMA.names)
    assert out.exists()


@check("spark_few_patches")
def slides_with_few_patches_are_named(session: Session, out: Path) -> None:
    few = {slide: rows for slide, rows in per_slide(counts_of(out)).items() if rows < 130}
    assert 0 < len(few) < 3
    assert sorted(session.rows()) == sorted((slide, rows, rows) for slide, rows in few.items())


@check("duckdb_patients")
def patients_are_summed_up(session: Session, out: Path) -> None:
    counts = counts_of(out)
    positive = per_slide(counts, positive=True)
    expected = [(slide, rows, positive.get(slide, 0)) for slide, rows in per_slide(counts).items()]
    assert sorted(session.rows()) == sorted(expected)  # here every slide is a patient


@check("duckdb_windows")
def most_suspicious_windows_come_first(session: Session, out: Path) -> None:
    table = pq.ParquetFile(out / "predictions/slide_id=0012/part-00000.parquet").read().to_pandas()
    best = table.sort_values("probability", ascending=False).head(10)
    assert [row[2] for row in session.rows()] == best["probability"].tolist()


@check("lesions")
def lesions_get_the_score_of_their_slide(session: Session, out: Path) -> None:
    found = session.names["found"]
    assert found["slide_id"].tolist() == ["0012", "0012", "0100", "0100"]
    assert found["score"].tolist() == [0.5] * 4
    assert out.exists()


@check("metrics")
def time_of_all_runs_is_summed_by_step(session: Session, out: Path) -> None:
    (file,) = (out / "metrics").iterdir()
    run = RunMetrics.model_validate_json(file.read_text())
    spent = session.names["spent"]
    assert spent["seconds"].to_dict() == {("tile", step.step): step.seconds for step in run.steps}
    assert spent.loc[("tile", "survey"), "task_seconds"] > 0


def test_every_block_of_the_page_is_checked_here() -> None:
    fenced = re.findall(r"^```\w+$", PAGE, re.M)
    assert len(fenced) == len(EXAMPLES)
    assert set(EXAMPLES) == set(CHECKS) | {"hive_create", "hive_repair", "hive_counts"}


@pytest.mark.parametrize("name", CHECKS)
def test_example_gives_what_the_files_hold(name: str, spark: SparkSession, out: Path) -> None:
    session = Session(spark, out)
    session.run(name)
    CHECKS[name](session, out)


def test_hive_metastore_follows_slides_that_come_and_go(out: Path, tmp_path: Path) -> None:
    """Registered while a slide is not yet there; then it comes, and another one leaves."""
    table = tmp_path / "out"
    shutil.copytree(out / "patches", table / "patches")
    train, away = table / "patches" / "split=train", tmp_path / "away"
    away.mkdir()
    moved = [[str(away / "slide_id=0013"), str(train)], [str(train / "slide_id=0100"), str(away)]]
    shutil.move(train / "slide_id=0013", away)
    create, repair, counts = (
        EXAMPLES[name].code.replace("OUT/", f"{table}/").split(";")
        for name in ("hive_create", "hive_repair", "hive_counts")
    )
    steps = [*create, *repair, *counts, *moved, *repair, *counts]
    command = [sys.executable, "-m", "tests.docs.hive_session"]
    ended = subprocess.run(command, input=json.dumps(steps), capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr[-2000:]
    first, second = (as_counts(rows) for rows in json.loads(ended.stdout.partition(ANSWER)[2]))
    every = counts_of(out)
    assert first == {key: rows for key, rows in every.items() if key[1] != "0013"}
    assert second == {key: rows for key, rows in every.items() if key[1] != "0100"}
    assert first != second


def test_lesions_have_the_columns_of_the_page(out: Path) -> None:
    listed = [name for name, _ in columns_of("`OUT/lesions.csv`, with")]
    assert listed == list(pd.read_csv(out / "lesions.csv").columns)


def test_guessed_types_go_wrong_as_the_page_says(spark: SparkSession, out: Path) -> None:
    """If this fails a reader has learned to guess: the page can be simpler."""
    assert spark.read.parquet(f"{out}/patches").schema["slide_id"].dataType.simpleString() == "int"
    guessed = pl.scan_parquet(f"{out}/patches", hive_partitioning=True).collect_schema()
    assert guessed["slide_id"] == pl.Int64
    with pytest.raises(pa.ArrowInvalid, match="dictionaries with nulls"):
        pd.read_parquet(f"{out}/patches")
