"""The classifier learns grades from features, the same way each time; the command tells kappa on the test slides."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from pyspark.sql import SparkSession
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from cluster.entry import run_command
from cluster.errors import UsageError
from cluster.storage import Store
from inference.proliferation import job
from inference.proliferation.classifier import graded_slides
from inference.proliferation.job import grade_run, proliferation
from inference.proliferation.regions import FEATURES
from inference.scores import SlideScore
from inference.slide_files import SCORE
from preprocessing import ledger
from preprocessing.inventory import inventory
from preprocessing.ledger import Outcome
from preprocessing.readers.base import SlideInfo
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe, save_recipe
from preprocessing.slide_facts import SlideFacts
from tests.conftest import ROOT

SIDE = 18_000  # level-0 pixels at 0.5 um: 3 x 3 regions
CLASSES = "tiling.labels.classes={low: ['1'], middle: ['2'], high: ['3']}"
OVERRIDES = ["tiling.labels.source=slide", "tiling.labels.ordered=true", CLASSES, "tiling.labels.normal_slides=[]"]


def test_grades_that_follow_the_features_are_learnt() -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat([0, 1, 2], 6)
    features = np.stack([truth * 100 + rng.normal(0, 5, 18), rng.normal(0, 1e-4, 18)], axis=1)
    known = np.arange(18) % 3 != 0
    found = graded_slides(features, np.where(known, truth, -1), known, 3, 7)
    assert found.grades.tolist() == truth.tolist()
    assert (found.kappa, found.folds) == (1.0, 4)
    again = graded_slides(features, np.where(known, truth, -1), known, 3, 7)
    assert (again.grades.tolist(), again.settings) == (found.grades.tolist(), found.settings)


def test_features_of_any_unit_count_alike() -> None:
    """The second feature tells all, and is a million times smaller than the first."""
    truth = np.repeat([0, 1], 4)
    features = np.stack([np.tile([1e6, -1e6], 4), truth * 1e-3], axis=1)
    assert graded_slides(features, truth, np.ones(8, bool), 2, 1).grades.tolist() == truth.tolist()


@pytest.mark.parametrize(
    ("truth", "told"), [([0, 0, 1], "2 of grade 0, 1 of grade 1"), ([2, 2], "2 of grade 2"), ([], "none")]
)
def test_too_few_slides_are_told(truth: list[int], told: str) -> None:
    known = np.ones(len(truth), bool)
    with pytest.raises(UsageError, match=f"splits hold {told}: give labels"):
        graded_slides(np.zeros((len(truth), 9)), np.array(truth, np.int64), known, 3, 1)


def lesions_of(slide: int) -> list[tuple[int, int, float]]:
    """The higher the grade the more, and each slide has its own number of them."""
    grade = slide % 3
    places = np.random.default_rng(slide).integers(0, SIDE, (4 + 30 * grade + slide % 5, 2))
    return [(int(x), int(y), 0.75) for x, y in places]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(str(ROOT / "conf" / "demo.yaml"), OVERRIDES)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe, model_file: Path) -> Path:
    """What `infer` leaves of 24 slides, one of them without mpp and one that failed, and their manifest."""
    folder = tmp_path_factory.mktemp("run")
    store = Store(str(folder))
    (folder / "slide_scores").mkdir()
    model = json.loads(model_file.with_suffix(".json").read_text())
    (folder / "model.json").write_text(json.dumps(model))
    save_recipe(recipe, str(folder))
    splits = ["train", "train", "validation", "test"]
    lines = [f"s{k:02},s{k:02}.svs,{k % 3 + 1},{splits[k // 3 % 4]}\n" for k in range(24)]
    (folder / "slides.csv").write_text("slide_id,path,label,split\n" + "".join(lines))
    info = SlideInfo(((SIDE, SIDE),), (1.0,), 0.5, 20, "drawn")
    outcomes, written = [], "slide_id,x,y,probability\n"
    for k, entry in enumerate(inventory(str(folder / "slides.csv"), recipe.tiling, recipe.seed)):
        facts = SlideFacts(info, "direct", mpp=None if k == 3 else 0.5)
        failed = k == 4
        outcomes.append(Outcome(entry, "failed" if failed else "done", facts, error="torn" if failed else None))
        found = [] if failed else lesions_of(k)
        written += "".join(f"{entry.slide_id},{x},{y},{p}\n" for x, y, p in found)
        score = SlideScore(entry.slide_id, 0.75, len(found), None, None, model["model_id"], "keras").table()
        pq.write_table(score, folder / SCORE.format(entry.slide_id))
    (folder / "lesions.csv").write_text(written)
    ledger.append(store, "infer", outcomes, f"0123456789ab-{model['model_id']}", ledger.latest(store, "infer"))
    return folder


def test_command_grades_slides(
    spark: SparkSession, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Shared:
        """The session of the tests, which the command must not stop."""

        def __init__(self, *_: object) -> None: ...

        def __enter__(self) -> SparkSession:
            return spark

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(job, "spark_session", Shared)
    asked = ["--predictions", str(run), "--slides", str(run / "slides.csv"), "--out", str(tmp_path)]
    assert run_command(proliferation, asked) == 3  # a slide failed in infer
    assert "| quadratic weighted kappa, test | " in capsys.readouterr().out
    table = pd.read_parquet(tmp_path / "features.parquet").set_index("slide_id")
    assert list(table.columns) == ["split", "label", "judged", "regions", *FEATURES]
    page = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8").partition("`features.parquet`, a row")[2]
    listed = [cell.split(" | ")[0] for cell in page.partition("\n`metrics.json`")[0].splitlines() if "| `" in cell]
    assert [name for cell in listed for name in cell.split("`")[1::2]] == ["slide_id", *table.columns]
    assert len(table) == 22
    assert set(table["regions"]) == {9}
    assert list(table["sum"]) == [len(lesions_of(int(name[1:]))) for name in table.index]
    assert list(table["label"]) == [int(name[1:]) % 3 for name in table.index]
    values = json.loads((tmp_path / "metrics.json").read_text())
    test = table[table["split"] == "test"]
    assert len(test) == 6
    assert values["kappa"]["value"] == pytest.approx(
        cohen_kappa_score(test["label"], test["judged"], weights="quadratic")
    )
    assert values["spearman"]["value"] == pytest.approx(spearmanr(test["label"], test["judged"]).statistic)
    assert values["kappa"]["value"] > 0.8
    assert {name: it["why"] for name, it in values["left_out"].items()} == {"s03": "no mpp", "s04": "failed"}
    assert values["slides"] == {"slides": 22, "fitted_slides": 16, "test_slides": 6}
    rows = list(csv.DictReader((tmp_path / "slides.csv").open()))
    assert [int(row["judged"]) for row in rows] == list(table["judged"])
    assert {(row["label"], row["class"]) for row in rows} == {("0", "low"), ("1", "middle"), ("2", "high")}


def test_slides_without_label_are_graded_and_larger_regions_are_fewer(
    spark: SparkSession, run: Path, recipe: Recipe
) -> None:
    entries = [
        replace(it, label=None) if it.split == "test" else it
        for it in inventory(str(run / "slides.csv"), recipe.tiling, recipe.seed)
    ]
    found = grade_run(spark, str(run), entries, recipe, region=4500)
    table = found.features.to_pandas()
    assert set(table["regions"]) == {4}
    assert table[table["split"] == "test"]["label"].isna().all()
    assert table["judged"].notna().all()
    assert found.report.findings.values["kappa"]["value"] is None
    assert "no slide of the test split has a label" in found.report.findings.markdown()


def test_a_recipe_without_grades_is_wrong_use(run: Path, tmp_path: Path) -> None:
    asked = ["--predictions", str(run), "--slides", str(run / "slides.csv"), "--out", str(tmp_path)]
    said = CliRunner().invoke(
        proliferation, [*asked, "--conf", str(ROOT / "conf" / "demo.yaml")], standalone_mode=False
    )
    assert isinstance(said.exception, UsageError)
