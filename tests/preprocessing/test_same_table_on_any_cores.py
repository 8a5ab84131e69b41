"""The unit of work is fixed by the recipe: cores, partitions and waves change nothing in the table."""

from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from preprocessing.extract import extract
from preprocessing.inventory import inventory
from preprocessing.prepare import prepare
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import save_recipe
from preprocessing.selection import select
from preprocessing.slide_plan import WaveUnits
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


class OtherTasks(WaveUnits):
    """The same units in another number of Spark tasks."""

    def __init__(self, units: WaveUnits, tasks: int) -> None:
        super().__init__(units.plans)
        self.tasks = tasks

    @property
    def partitions(self) -> int:
        return self.tasks

    def frame(self, spark: SparkSession) -> DataFrame:
        return super().frame(spark).repartition(self.tasks)


@pytest.mark.parametrize("tasks", [1, 3, 50])
def test_other_partition_counts_write_the_same_files(
    spark: SparkSession, small: Recipe, drawn: Path, tmp_path: Path, tasks: int
) -> None:
    """Units of work land in other tasks, several in one task or each alone, in another order."""
    staging = tmp_path / "staging"
    (staging / "_writing").mkdir(parents=True)
    plans, failed = prepare(spark, inventory(str(drawn), small.tiling, small.seed), small, str(staging))
    assert not failed
    units = WaveUnits(plans)
    written = {}
    for name, dealt in (("as the job", units), ("otherwise", OtherTasks(units, tasks))):
        out = tmp_path / name
        (out / "patches" / "_writing").mkdir(parents=True)
        chosen = select(survey(spark, dealt, small, str(staging)).where("x is not null"), small.tiling.sampling)
        reports = extract(chosen, dealt, small, str(out / "patches")).toPandas()
        assert reports["error"].isna().all()
        written[name] = digests(out)
    assert len(written["otherwise"]) > 6
    assert written["otherwise"] == written["as the job"]
