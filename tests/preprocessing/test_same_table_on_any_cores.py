"""The unit of work is fixed by the recipe: cores, partitions and waves change nothing in the table."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from preprocessing.extract import extract
from preprocessing.inventory import inventory
from preprocessing.probe import probe, units_of
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import save_recipe
from preprocessing.selection import select
from preprocessing.survey import survey
from tests.conftest import Command
from tests.tables import digests


@pytest.fixture
def recipe_file(small: Recipe, tmp_path: Path) -> Path:
    save_recipe(small, str(tmp_path))
    return tmp_path / "recipe.yaml"


def test_one_core_two_cores_and_small_waves_write_the_same_files(
    histospark: Command, recipe_file: Path, drawn: Path, tmp_path: Path
) -> None:
    runs = {"one": ["local[1]", 32], "two": ["local[2]", 32], "waves": ["local[2]", 1]}
    for name, (master, wave) in runs.items():
        ended = histospark(
            "tile", "--conf", recipe_file, "--slides", drawn, "--out", tmp_path / name,
            "--master", master, "--wave", wave,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
    one = digests(tmp_path / "one")
    assert len(one) > 6
    assert digests(tmp_path / "two") == one
    assert digests(tmp_path / "waves") == one


@pytest.mark.parametrize("partitions", [1, 3, 50])
def test_other_partition_counts_write_the_same_files(
    spark: SparkSession, small: Recipe, drawn: Path, tmp_path: Path, partitions: int
) -> None:
    """Units of work land in other tasks, several in one task or each alone, in another order."""
    entries = inventory(str(drawn), small.tiling, small.seed)
    probed, failed = probe(spark, entries, small.tiling)
    assert not failed
    by_id = {slide.entry.slide_id: slide.entry for slide in probed}
    written = {}
    for name, count in (("as the job", 2 * sum(slide.shards for slide in probed)), ("otherwise", partitions)):
        units = units_of(spark, probed).repartition(count)
        chosen = select(survey(units, by_id, small).where("x is not null"), small.tiling.sampling)
        out = tmp_path / name
        reports = extract(chosen, by_id, small, str(out / "patches"), count).toPandas()
        assert reports["error"].isna().all()
        written[name] = digests(out)
    assert len(written["otherwise"]) > 6
    assert written["otherwise"] == written["as the job"]
