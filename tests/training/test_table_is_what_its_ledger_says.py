"""Rows lost or added behind the ledger's back are noticed before the first epoch."""

import logging
import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cluster.errors import UsageError
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.recipe import Recipe
from training.completeness import check_complete
from training.table import open_table


@pytest.fixture
def tiled(spark: SparkSession, drawn: Path, small: Recipe, tmp_path: Path) -> Path:
    slides = tmp_path / "slides"
    shutil.copytree(drawn, slides)
    (slides / "broken.svs").write_bytes(b"no slide")
    run_tiling(spark, small, inventory(str(slides), small.tiling, small.seed), str(tmp_path / "out"))
    return tmp_path / "out"


def test_whole_table_passes_and_failed_slides_are_named(tiled: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="histospark"):
        check_complete(open_table(str(tiled)))
    assert "1 slides failed in tiling and are not trained on: broken" in caplog.text


def test_lost_shard_is_an_error_naming_the_slide(tiled: Path) -> None:
    next(tiled.rglob("patches/*/slide_id=tumor_02/**/*.parquet")).unlink()
    with pytest.raises(UsageError, match=r"slide tumor_02 has \d+ patches in .*, its ledger says \d+"):
        check_complete(open_table(str(tiled)))


def test_slide_copied_into_the_table_is_an_error(tiled: Path) -> None:
    one = next(tiled.glob("patches/*/slide_id=tumor_02"))
    shutil.copytree(one, one.with_name("slide_id=stranger"))
    with pytest.raises(UsageError, match=r"slide stranger has \d+ patches in .*, its ledger says 0"):
        check_complete(open_table(str(tiled)))
