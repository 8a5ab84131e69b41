"""A second run opens no finished slide; another threshold, a changed slide are done anew; another model is beside."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from inference.job import run_inference
from inference.run_folder import runs_in
from preprocessing.batch import BatchSummary
from preprocessing.inventory import inventory
from preprocessing.recipe import Recipe
from tests.conftest import Command
from tests.inference.color_model import BIAS, color_model, save_with_card
from tests.inference.conftest import GOOD, Run
from tests.inference.tables import contents, predictions_of
from tests.tables import ledger_of
from training.card import load_card


@pytest.fixture
def slides(finished: Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished.slides, tmp_path / "slides"))  # with the times of the files


@pytest.fixture
def out(finished: Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished.out, tmp_path / "out"))


def infer_one(spark: SparkSession, recipe: Recipe, slide: Path, model: Path, out: Path) -> BatchSummary:
    return run_inference(spark, recipe, inventory(str(slide), recipe.tiling, recipe.seed), model, str(out))


def spoil(path: Path) -> None:
    """Other bytes, same size, same time of change: only who opens it can tell."""
    state = path.stat()
    path.write_bytes(b"x" * state.st_size)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_finished_slides_are_not_opened_again(spark: SparkSession, finished: Run, slides: Path, out: Path) -> None:
    for slide_id in (*GOOD, "glass_01"):
        spoil(slides / f"{slide_id}.tif")
    summary = finished.again(spark, slides, out)
    assert (summary.skipped, summary.done, summary.empty, summary.failed) == (4, 0, 0, 1)  # the bad one is tried again
    assert contents(out) == contents(finished.out)
    ledger = ledger_of(out)
    assert list(ledger[ledger["slide_id"] == "bad"]["attempt"]) == [1, 2]
    assert len(ledger) == 6


def test_a_slide_that_changed_for_the_worse_loses_its_outputs(
    spark: SparkSession, finished: Run, slides: Path, out: Path
) -> None:
    (slides / "tumor_01.tif").write_bytes(b"no slide any more")
    summary = finished.again(spark, slides, out)
    assert (summary.skipped, summary.failed) == (3, 2)
    gone = {name for name in contents(finished.out) if "tumor_01" in name}
    assert len(gone) >= 4
    assert set(contents(out)) == set(contents(finished.out)) - gone
    assert set(pd.read_csv(out / "lesions.csv")["slide_id"]) == {"normal_01", "tumor_02"}


def test_another_model_of_the_same_file_name_goes_beside_it(
    spark: SparkSession, finished: Run, slides: Path, out: Path, tmp_path: Path
) -> None:
    other = save_with_card(color_model(bias=BIAS - 1), tmp_path / "other", finished.recipe)
    assert other.name == finished.model.name
    summary = infer_one(spark, finished.recipe, slides / "normal_01.tif", other, out)
    assert (summary.done, summary.skipped) == (1, 0), summary.faults
    runs = runs_in(str(out))
    first, second = (Path(uri) for uri in runs.values())
    assert first == out
    assert second == out / "models" / load_card(other).model_id
    of_all = contents(out)
    assert {name: of_all[name] for name in of_all if not name.startswith("models/")} == contents(finished.out)
    before, after = (predictions_of(folder, "normal_01") for folder in (first, second))
    logit = [np.log(frame["probability"] / (1 - frame["probability"])) for frame in (before, after)]
    pd.testing.assert_frame_equal(before[["x", "y"]], after[["x", "y"]])
    np.testing.assert_allclose(logit[0] - logit[1], 1, atol=1e-3)
    assert set(before["model_id"]).isdisjoint(after["model_id"])
    assert set(contents(second)) == {
        name for name in contents(out) if not name.startswith("models/") and not re.search("tumor_0[12]", name)
    }
    assert infer_one(spark, finished.recipe, slides / "normal_01.tif", other, out).skipped == 1


def test_results_of_each_model_are_evaluated_by_themselves(
    spark: SparkSession, finished: Run, slides: Path, out: Path, tmp_path: Path, histospark: Command
) -> None:
    other = save_with_card(color_model(bias=BIAS - 1), tmp_path / "other", finished.recipe)
    entries = inventory(str(finished.slides), finished.recipe.tiling, finished.recipe.seed)
    assert run_inference(spark, finished.recipe, entries, other, str(out)).done == 3
    for model in (finished.model, other):
        model_id = load_card(model).model_id
        folder = tmp_path / model_id
        common = ["--predictions", out, "--slides", slides, "--out", folder]
        said = histospark("evaluate", *common, "--model-id", model_id)
        assert said.returncode in (0, 3), said.stderr
        assert (folder / "metrics.json").is_file()


def test_another_threshold_finds_lesions_anew(spark: SparkSession, finished: Run, slides: Path, out: Path) -> None:
    threshold = 0.65
    changed = finished.recipe.inference.model_copy(update={"threshold": threshold})
    recipe = finished.recipe.model_copy(update={"inference": changed})
    summary = infer_one(spark, recipe, slides / "normal_01.tif", finished.model, out)
    assert (summary.done, summary.skipped) == (1, 0)
    found = pd.read_csv(out / "lesions.csv")
    before = pd.read_csv(finished.out / "lesions.csv")
    above = [frame[frame["slide_id"] == "normal_01"]["probability"] for frame in (before, found)]
    assert above[0].min() < threshold < above[1].min()


def test_any_slicing_of_the_work_gives_the_same_bytes(spark: SparkSession, finished: Run, tmp_path: Path) -> None:
    """One slide at a time, from another run."""
    every = inventory(str(finished.slides), finished.recipe.tiling, finished.recipe.seed)
    entries = [entry for entry in every if entry.slide_id in {"normal_01", "tumor_01"}]
    run_inference(spark, finished.recipe, entries, finished.model, str(tmp_path / "out"), wave=1)
    of_all = contents(finished.out)
    wanted = {name: digest for name, digest in of_all.items() if "normal_01" in name or "tumor_01" in name}
    assert len(wanted) > 8
    assert wanted.items() <= contents(tmp_path / "out").items()
