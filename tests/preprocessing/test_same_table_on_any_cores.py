"""The unit of work is fixed by the recipe: cores, partitions and waves change nothing in the table."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from preprocessing.extract import extract
from preprocessing.inventory import inventory
from preprocessing.prepare import prepare
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import save_recipe
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


@pytest.mark.parametrize("seed", [1, 2])
def test_units_in_any_order_write_the_same_files(
    spark: SparkSession, small: Recipe, drawn: Path, tmp_path: Path, seed: int
) -> None:
    """Extraction, unit by unit in another order and by other workers than the survey."""
    staging = tmp_path / "staging"
    (staging / "_writing").mkdir(parents=True)
    plans, failed = prepare(spark, inventory(str(drawn), small.tiling, small.seed), small, str(staging))
    assert not failed
    units = WaveUnits(plans)
    found = survey(spark, units, small, str(staging))
    in_order = [number for number, report in enumerate(found) if report.rows]
    shuffled = np.random.default_rng(seed).permutation(in_order).tolist()
    written = []
    for numbers in (in_order, shuffled):
        reports = extract(spark, units, numbers, {}, small, str(staging))
        assert [(report.slide_id, report.shard) for report in reports] == [
            (found[number].slide_id, found[number].shard) for number in numbers
        ]
        assert not [report.failure for report in reports if report.failure]
        written.append(digests(staging, "split=train"))
        shutil.rmtree(staging / "split=train")
    assert len(written[0]) > 6
    assert written[0] == written[1]
