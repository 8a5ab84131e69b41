"""`histospark infer` on a cluster that loses a machine in mid-job: every file is that of an undisturbed run."""

from pathlib import Path

from pyspark.sql import SparkSession

from inference.job import run_inference
from preprocessing.inventory import inventory
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import save_recipe
from tests.cluster.background_job import BackgroundJob
from tests.cluster.disturbances import kill, machine_of, stopped_at_work, wait_for
from tests.cluster.standalone import StandaloneCluster
from tests.inference.conftest import GOOD
from tests.inference.tables import contents
from tests.tables import ledger_of


def test_machine_dies_after_the_first_slide(
    spark: SparkSession, sparse: Recipe, exported: Path, drawn: Path, tmp_path: Path
) -> None:
    recipe = sparse.model_copy(update={"inference": sparse.inference.model_copy(update={"precision": "float32"})})
    save_recipe(recipe, str(tmp_path))
    conf, out, whole = tmp_path / "recipe.yaml", tmp_path / "out", tmp_path / "whole"
    (tmp_path / "cluster").mkdir()
    arguments = ["infer", "--conf", conf, "--slides", drawn, "--model", exported, "--out", out, "--wave", 1]
    with (
        StandaloneCluster(tmp_path / "cluster", workers=2, cores=1, memory="1g") as cluster,
        BackgroundJob(cluster, tmp_path, arguments, {}) as job,
    ):
        wait_for(lambda: list(out.glob("slides/*.parquet")), "no slide is done")
        kill(machine_of(stopped_at_work(cluster).worker))
        assert job.runs()
        assert job.code() == 0, job.said[-3000:]
    assert job.events("ExecutorRemoved")
    entries = inventory(str(drawn), recipe.tiling, recipe.seed)
    run_inference(spark, recipe, entries, exported, str(whole))
    results = {name: digest for name, digest in contents(out).items() if not name.startswith("report.")}
    assert results == contents(whole)
    assert not list(out.rglob("_*"))
    rows = ledger_of(out)
    assert sorted(rows["slide_id"]) == sorted(GOOD)
    assert set(rows["status"]) == {"done"}
