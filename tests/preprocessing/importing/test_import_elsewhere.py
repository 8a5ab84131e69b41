"""A collection on S3 into a table there: the files of a local import."""

from pathlib import Path

from pyspark.sql import SparkSession

from cluster.storage import Store
from preprocessing.importing.collection import open_collection
from preprocessing.importing.job import run_import
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import save_recipe
from tests.cluster.s3_server import S3Server
from tests.cluster.tables_elsewhere import fetched, stored
from tests.conftest import Command
from tests.tables import digests


def test_table_equals_that_of_a_local_import(
    s3: S3Server, histospark: Command, spark: SparkSession, pcam: Path, lossless: Recipe, tmp_path: Path
) -> None:
    place = f"{s3.uri}/{tmp_path.name}"
    source, out = stored(pcam, Store(f"{place}/pcam")), Store(f"{place}/out")
    save_recipe(lossless, str(tmp_path))
    command = ("import", "--conf", tmp_path / "recipe.yaml", "--source", source.uri, "--out", out.uri)
    done = histospark(*command, HISTOSPARK_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert run_import(spark, lossless, open_collection(str(pcam)), str(tmp_path / "local")).done == 4
    assert digests(fetched(out, tmp_path / "there")) == digests(tmp_path / "local")
    assert len(digests(tmp_path / "local")) == 8
