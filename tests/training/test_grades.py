"""Agreement of grades: as scikit-learn and SciPy have it, intervals by really resampling slides, and the report."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from training.findings import save_findings
from training.grades import GradeAgreement, expected_grade, grade_agreement, grade_intervals, nearest_grade
from training.intervals import slide_draws
from training.many_classes import ManyClasses
from training.metrics import choose_thresholds
from training.slide_level import ScoredPatches
from training.two_classes import TwoClasses

CLASSES = ("low", "middle", "high")


def graded(slides: int, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """True grades 0 to 2, and expected ones that follow them with noise; some of them are equal."""
    rng = np.random.default_rng(seed)
    truth = np.arange(slides) % 3
    return truth, np.clip(truth + rng.normal(0, 0.8, slides), 0, 2).round(1)


def test_the_expected_grade_is_the_mean_and_halves_go_up() -> None:
    expected = expected_grade(np.array([[0.5, 0.5, 0], [0.2, 0.3, 0.5], [0, 0, 1]], np.float32))
    assert expected == pytest.approx([0.5, 1.3, 2])
    assert nearest_grade(np.array([0.5, 1.3, 1.5, 2.0])).tolist() == [1, 1, 2, 2]


def test_agreement_by_hand() -> None:
    # Squared errors 0, 1, 0, 1 sum to 2; by chance (0, 1, 2, 2 against 0, 2, 2, 1): 0+4+4+1+1+1+1+0+2(4+0+0+1) over 4.
    found = grade_agreement(np.array([0, 1, 2, 2]), np.array([0.1, 1.6, 2.0, 1.2]), 3)
    assert found.kappa == pytest.approx(1 - 2 / (22 / 4))
    assert found.spearman == pytest.approx(spearmanr([1, 2, 3.5, 3.5], [1, 3, 4, 2]).statistic)


def test_the_same_grade_for_all_has_neither_and_one_answer_for_all_is_chance() -> None:
    same = np.ones(4, int)
    assert grade_agreement(same, same.astype(float), 3) == GradeAgreement(None, None)
    assert grade_agreement(np.array([0, 1, 2]), np.ones(3), 3) == GradeAgreement(0.0, None)


def test_intervals_are_those_of_really_resampled_slides() -> None:
    truth, expected = graded(30)
    found = grade_intervals(truth, expected, 3, seed=7)
    kappas, correlations = [], []
    for mine in slide_draws(30, 7):
        rounded = np.floor(expected[mine] + 0.5)
        kappas.append(cohen_kappa_score(truth[mine], rounded, weights="quadratic"))
        correlations.append(spearmanr(truth[mine], expected[mine]).statistic)
    for name, values in (("kappa", kappas), ("spearman", correlations)):
        low, high = np.quantile(values, [0.025, 0.975])
        assert (found.of[name].low, found.of[name].high) == pytest.approx((low, high))
    assert found.note.startswith("95% intervals from 1,000 resamples of 30 slides, 10 of grade 0 and 10 of grade 1")


def test_grades_on_few_slides_get_no_interval() -> None:
    found = grade_intervals(*graded(12), 3, seed=7)
    assert found.of == {}
    assert found.note == (
        "no interval: 12 slides, 4 of grade 0 and 4 of grade 1 and 4 of grade 2; at least 5 of each are needed"
    )


def of_graded_slides(slides: int, patches: int) -> ScoredPatches:
    """Slides of three grades, each with its patches, which all have its grade; in random order."""
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(slides) % 3, patches).astype(np.int32)
    odds = np.exp(rng.normal(size=(len(labels), 3)) + 1.5 * np.eye(3)[labels])
    names = np.repeat([f"s{number:02d}" for number in range(slides)], patches)
    order = rng.permutation(len(labels))
    answers = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    return ScoredPatches(names[order], labels[order], answers[order])


@pytest.mark.parametrize("patches", [1, 4])
def test_the_report_of_grades_tells_their_agreement_by_slide(patches: int, tmp_path: Path) -> None:
    scored = of_graded_slides(24, patches)
    metrics, findings = ManyClasses(CLASSES, 7, ordered=True).judged("Grades", {"validation": scored, "test": scored})
    text = save_findings(tmp_path, findings)
    truth = np.array([scored.labels[scored.slide_ids == name][0] for name in scored.slides])
    expected = np.array([scored.probabilities[scored.slide_ids == name].mean(0) @ [0, 1, 2] for name in scored.slides])
    found = grade_agreement(truth, expected, 3)
    sure = grade_intervals(truth, expected, 3, 7).of["kappa"]
    low, high = sure.low, sure.high
    assert f"| quadratic weighted kappa | {found.kappa:.5f} ({low:.3f} to {high:.3f}) |" in text
    assert text.index("| accuracy |") < text.index("### Grades of slides") < text.index("### Classes of validation")
    written = json.loads((tmp_path / "metrics.json").read_text())["test"]
    assert (written["kappa"], written["spearman"]) == pytest.approx((found.kappa, found.spearman), abs=1e-6)
    assert written["intervals"]["kappa"] == pytest.approx([low, high], abs=1e-6)
    assert {"accuracy", "macro_auc", "spearman"} <= written["intervals"].keys()
    assert written["interval_notes"].keys() == {"patches", "slides"}
    assert written["accuracy"] == metrics["test"].accuracy
    rows = list(csv.DictReader((tmp_path / "slides.csv").read_text().splitlines()))
    assert [row["slide_id"] for row in rows] == 2 * scored.slides
    assert [float(row["expected_grade"]) for row in rows] == pytest.approx([*expected, *expected], abs=1e-5)


def test_classes_without_order_have_no_grades() -> None:
    _, findings = ManyClasses(CLASSES, 7).judged("Classes", {"test": of_graded_slides(24, 1)})
    assert "kappa" not in findings.values["test"]
    assert "expected_grade" not in (findings.slides or "")


def test_slides_of_one_patch_each_are_judged_as_whole_images() -> None:
    """Mammograms: what is said of patches and of slides is the same, intervals included."""
    rng = np.random.default_rng(3)
    labels = (np.arange(60) % 3 == 0).astype(np.int32)
    answers = (1 / (1 + np.exp(-rng.normal(1.5 * labels - 0.7)))).astype(np.float32)
    images = ScoredPatches(np.array([f"image_{number:02d}" for number in range(60)]), labels, answers)
    judging = TwoClasses(("benign", "malignant"), choose_thresholds(labels, answers, 0.9), seed=7)
    metrics, findings = judging.judged("Images", {"test": images})
    told = findings.values["test"]
    assert told["auc"] == told["slide_auc"] == metrics["test"].auc
    assert told["intervals"]["auc"] == pytest.approx(told["intervals"]["slide_auc"])
    assert told["intervals"]["sensitivity"][0] < told["sensitivity"] < told["intervals"]["sensitivity"][1]
    rows = list(csv.DictReader((findings.slides or "").splitlines()))
    assert [int(row["positives"]) for row in rows] == labels.tolist()
    assert {row["auc"] for row in rows} == {""}
