"""Half a thousand damaged slides go through the tiling job: each is a row of the ledger; whole ones are tiled."""

import random
import shutil
from pathlib import Path

from pyspark.sql import SparkSession

from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.recipe_file import load_recipe
from tests.conftest import REAL, ROOT
from tests.preprocessing.fuzzing import fuzz, wholes
from tests.tables import digests, ledger_of

DAMAGED = 510
SEED = 20


def test_damaged_slides_never_stop_the_job_and_whole_ones_among_them_are_complete(
    spark: SparkSession, tmp_path: Path
) -> None:
    good = wholes(tmp_path / "whole", REAL if REAL.is_dir() else None)
    slides, rng = tmp_path / "slides", random.Random(SEED)
    shutil.copytree(tmp_path / "whole", slides)
    for number in range(DAMAGED):
        path = good[number % len(good)]
        kind, data = fuzz(path.read_bytes(), rng)
        (slides / f"bad_{number:03d}_{kind}_{path.name}").write_bytes(data)
    settings = ["tiling.scales=[{level: 0}]", "tiling.window=64", "tiling.stride=128", "tiling.block=1024"]
    settings += ["tiling.sampling.normals_per_tumor=null", "tiling.sampling.from_slides_without_tumor=null"]
    recipe = load_recipe(str(ROOT / "conf" / "level0.yaml"), settings)
    entries = inventory(str(slides), recipe.tiling, recipe.seed)
    summary = run_tiling(spark, recipe, entries, str(tmp_path / "out"), wave=64)
    whole = run_tiling(
        spark, recipe, inventory(str(tmp_path / "whole"), recipe.tiling, recipe.seed), str(tmp_path / "w")
    )
    assert whole.done == len(good), whole.faults

    ledger = ledger_of(tmp_path / "out")
    assert sorted(ledger["slide_id"]) == [entry.slide_id for entry in entries], "one row a slide"
    assert len(ledger) == DAMAGED + len(good) == summary.done + summary.empty + summary.failed
    failed = ledger[ledger["status"] == "failed"]
    assert len(failed) > DAMAGED / 4, "the damage was too gentle to test anything"
    assert failed["error_type"].notna().all()
    assert not failed["error"].str.contains("\n").any()
    done = ledger[ledger["status"] == "done"].set_index("slide_id")
    assert done.loc[[path.stem for path in good], "patches"].min() > 0
    expected, found = digests(tmp_path / "w"), digests(tmp_path / "out")
    assert {name: found.get(name) for name in expected} == expected
    assert {name.split("slide_id=")[1].split("/")[0] for name in found} == set(done.index)
