"""Scores of whole slides against the manifest's labels: AUC by pairs, grades by scikit-learn and SciPy."""

import csv
import io

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from inference.camelyon16 import Detections
from inference.run_output import LeftOut, RunOutput, SlideOutput
from inference.slide_grades import labeled_slides, slide_report
from preprocessing.recipe import Recipe
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Labels
from training.intervals import slide_draws

GRADES = {"low": ("1",), "middle": ("2",), "high": ("3",)}


def labeled(sparse: Recipe, **settings: object) -> Recipe:
    labels = Labels.model_validate({"source": "slide", **settings})
    return sparse.model_copy(update={"tiling": sparse.tiling.model_copy(update={"labels": labels})})


def a_run(labels: list[int | None], scores: list[float], empty: int | None = None) -> RunOutput:
    done = tuple(
        SlideOutput(SlideEntry(f"s{k:02}", f"s{k:02}.svs", label=label), score, Detections.none(), k == empty)
        for k, (label, score) in enumerate(zip(labels, scores, strict=True))
    )
    return RunOutput(done[::-1], (), (LeftOut("bad", "failed", "infer failed: no slide"),))


def test_two_classes_have_the_share_of_pairs_in_order(sparse: Recipe) -> None:
    recipe = labeled(sparse, classes={"benign": ("b",), "cancer": ("c",)})
    labels, scores = [0, 1, 0, 1, None, 1], [0.1, 0.9, 0.5, 0.5, 0.7, 0.2]
    report = slide_report(labeled_slides(a_run(labels, scores, empty=0)), recipe, "t")
    pairs = [(0.9, 0.1), (0.9, 0.5), (0.5, 0.1), (0.5, 0.5), (0.2, 0.1), (0.2, 0.5)]
    won = sum((high > low) + 0.5 * (high == low) for high, low in pairs)
    assert report.findings.values["slide_auc"]["value"] == pytest.approx(won / 6)
    assert "5 slides, 3 cancer and 2 benign" in report.findings.values["slide_auc"]["note"]
    counts = report.findings.values["slides"]
    assert (counts["slides"], counts["slides_benign"], counts["slides_cancer"]) == (5, 2, 3)
    assert {name: it["why"] for name, it in report.findings.values["left_out"].items()} == {
        "bad": "failed",
        "s04": "no truth",
    }
    assert report.exit_code == 3
    lines = list(csv.DictReader(io.StringIO(report.findings.slides)))
    assert [(it["slide_id"], it["class"], it["empty"]) for it in lines][:2] == [
        ("s00", "benign", "1"),
        ("s01", "cancer", "0"),
    ]
    assert [drawing.name for drawing in report.findings.drawings] == ["slide_roc"]
    assert "No tissue was found on s00" in report.findings.markdown()


def test_slides_of_one_class_have_no_auc(sparse: Recipe) -> None:
    recipe = labeled(sparse, classes={"benign": ("b",), "cancer": ("c",)})
    report = slide_report(labeled_slides(a_run([1, 1], [0.1, 0.9])), recipe, "t")
    assert report.findings.values["slide_auc"]["value"] is None
    assert "no slide AUC: 2 slides, 2 cancer and 0 benign" in report.findings.markdown()
    assert report.findings.drawings == ()


def test_grades_are_compared_by_kappa_and_rank(sparse: Recipe) -> None:
    recipe = labeled(sparse, classes=GRADES, ordered=True)
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 60)
    scores = np.clip(truth / 2 + rng.normal(0, 0.3, 60), 0, 1)
    report = slide_report(labeled_slides(a_run(truth.tolist(), scores.tolist())), recipe, "t")
    values, graded = report.findings.values, np.floor(scores * 2 + 0.5).astype(int)
    assert values["kappa"]["value"] == pytest.approx(cohen_kappa_score(truth, graded, weights="quadratic"))
    assert values["spearman"]["value"] == pytest.approx(spearmanr(truth, scores).statistic)
    draws = slide_draws(60, recipe.seed)
    kappas = [cohen_kappa_score(truth[it], graded[it], weights="quadratic") for it in draws[:200]]
    low, high = values["kappa"]["interval"]
    assert low == pytest.approx(np.quantile(kappas, 0.025), abs=0.05)
    assert high == pytest.approx(np.quantile(kappas, 0.975), abs=0.05)
    confusion = [[int(((truth == row) & (graded == column)).sum()) for column in range(3)] for row in range(3)]
    assert list(values["confusion"].values()) == confusion
    lines = list(csv.DictReader(io.StringIO(report.findings.slides)))
    assert [it["judged_class"] for it in lines] == [tuple(GRADES)[it] for it in graded]
    np.testing.assert_allclose([float(it["expected_grade"]) for it in lines], scores * 2, atol=1e-6)
    assert "| quadratic weighted kappa | " in report.findings.markdown()
