"""Slides from S3 or HDFS into a table there: the bytes of a local run, and the credentials nowhere."""

import json
import os
import shutil
from pathlib import Path

from pyspark.sql import SparkSession

from cluster.storage import Store
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.published_files import MANIFESTS
from preprocessing.recipe_file import load_recipe
from tests.cluster.tables_elsewhere import fetched, stored
from tests.conftest import ROOT, Command
from tests.tables import digests

CONF = "conf/demo.yaml"


def test_table_equals_that_of_a_local_run(
    elsewhere: str, histospark: Command, spark: SparkSession, drawn: Path, tmp_path: Path
) -> None:
    some = shutil.copytree(drawn, tmp_path / "some", ignore=shutil.ignore_patterns("tumor_02*"))
    slides, out = stored(some, Store(f"{elsewhere}/drawn")), Store(f"{elsewhere}/out")
    done = histospark("tile", "--conf", CONF, "--slides", slides.uri, "--out", out.uri, **watched(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]

    recipe = load_recipe(str(ROOT / CONF), [])
    run_tiling(spark, recipe, inventory(str(some), recipe.tiling, recipe.seed), str(tmp_path / "local"))
    there = fetched(out, tmp_path / "there")
    assert digests(there) == digests(tmp_path / "local")
    assert len(digests(there)) >= 3
    assert not [path for path in there.rglob("_*") if path.name != MANIFESTS], "something is left"
    if not out.renames:
        assert_manifests_tell_the_files(there)
    assert_no_credentials(tmp_path, done.stdout + done.stderr)


def assert_no_credentials(folder: Path, said: str) -> None:
    """Recipe, ledger, log and events of Spark were written, and hold nothing of the kind."""
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.stat().st_size > 10_000 for path in (folder / "events").rglob("events*")), "no events to search"
    assert {"recipe.yaml", "tumor_01.tif"} <= {path.name for path in written}
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"):
        secret = os.environ.get(name, "no such thing at all")
        assert secret not in said
        for path in written:
            assert secret.encode() not in path.read_bytes(), path


def watched(folder: Path) -> dict[str, str]:
    """An environment in which all that Spark and its workers write lies in a folder, and nothing else has credentials.

    Spark's events are written as plain text, so that they can be searched.
    """
    (folder / "events").mkdir()
    settings = {"enabled": "true", "compress": "false", "dir": f"file://{folder}/events"}
    (folder / "spark-defaults.conf").write_text(
        "".join(f"spark.eventLog.{name} {value}\n" for name, value in settings.items())
    )
    places = {"HISTOSPARK_CACHE": "cache", "AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none"}
    return {name: str(folder / place) for name, place in places.items()} | {
        "TMPDIR": str(folder), "SPARK_CONF_DIR": str(folder),
    }  # fmt: skip


def assert_manifests_tell_the_files(out: Path) -> None:
    """Each folder of a slide has a manifest, which names exactly the files that are there."""
    slides = sorted((out / "patches").glob("split=*/slide_id=*"))
    assert slides
    for slide in slides:
        name = slide.relative_to(out / "patches")
        told = json.loads((out / "patches" / MANIFESTS / f"{name}.json").read_text())["files"]
        files = [path for path in slide.rglob("*") if path.is_file()]
        assert told == {str(path.relative_to(slide)): path.stat().st_size for path in files}
