"""Metrics of more than two classes: by hand, as scikit-learn has them, and intervals by really resampling slides."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from training.class_metrics import class_intervals, class_metrics
from training.class_report import class_findings, judge_classes
from training.findings import save_findings
from training.intervals import slide_draws
from training.many_classes import ManyClasses
from training.slide_level import ScoredPatches

CLASSES = ("normal", "in situ", "invasive")


def random_patches(slides: int = 12, seed: int = 3) -> ScoredPatches:
    """Patches of K classes that are told apart better than by chance, with differing slides."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(10, 30, slides)
    labels = rng.integers(0, 3, sizes.sum()).astype(np.int32)
    latent = (
        rng.normal(size=(len(labels), 3)) + 1.2 * np.eye(3)[labels] + np.repeat(rng.normal(size=(slides, 3)), sizes, 0)
    )
    shares = np.exp(latent).round(1)  # so that there are ties
    names = np.repeat([f"s{number:02d}" for number in range(slides)], sizes)
    return ScoredPatches(names, labels, (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32))


def test_the_table_by_hand() -> None:
    labels = np.array([0, 0, 1, 1, 2], np.int32)
    answers = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3], [0.5, 0.1, 0.4]])
    found = class_metrics(labels, answers, CLASSES)
    assert found.confusion == ((1, 1, 0), (0, 2, 0), (1, 0, 0))
    assert found.accuracy == 3 / 5
    assert found.sensitivity == (1 / 2, 1.0, 0.0)
    assert found.balanced_accuracy == 0.5
    assert found.precision == (1 / 2, 2 / 3, 0.0)
    assert found.support == (2, 2, 1)
    # Class 0: 0.7 beats 3 others, 0.3 beats 2 of 3. Class 1: 0.8 beats 3, 0.5 beats 2 of 3. Class 2: 0.4 beats all 4.
    assert found.auc == pytest.approx((5 / 6, 5 / 6, 1.0))
    assert found.macro_auc == pytest.approx((5 / 6 + 5 / 6 + 1) / 3)


def test_the_table_is_that_of_scikit_learn() -> None:
    patches = random_patches()
    labels, answers = patches.labels, patches.probabilities.astype(np.float64)
    found, judged = class_metrics(labels, answers, CLASSES), answers.argmax(axis=1)
    assert found.accuracy == pytest.approx(sk.accuracy_score(labels, judged))
    assert found.balanced_accuracy == pytest.approx(sk.balanced_accuracy_score(labels, judged))
    assert np.array_equal(found.confusion, sk.confusion_matrix(labels, judged))
    assert found.sensitivity == pytest.approx(sk.recall_score(labels, judged, average=None))
    assert found.precision == pytest.approx(sk.precision_score(labels, judged, average=None))
    sums_to_one = answers / answers.sum(axis=1, keepdims=True)
    expected = sk.roc_auc_score(labels, sums_to_one, multi_class="ovr", average="macro")
    assert found.macro_auc == pytest.approx(expected)


def test_a_class_that_is_not_there_is_left_out_of_the_means() -> None:
    labels = np.array([0, 0, 2, 2], np.int32)
    answers = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8], [0.2, 0.1, 0.7]])
    found = class_metrics(labels, answers, CLASSES)
    assert found.sensitivity == (0.5, None, 1.0)
    assert found.auc == (1.0, None, 1.0)
    assert (found.balanced_accuracy, found.macro_auc) == (0.75, 1.0)
    assert found.precision == (1.0, 0.0, 1.0)


def test_intervals_are_those_of_really_resampled_slides() -> None:
    patches = random_patches()
    found = class_intervals(patches, 3, seed=7)
    names = patches.slides
    rows = {name: np.flatnonzero(patches.slide_ids == name) for name in names}
    accuracies, aucs = [], []
    for draw in slide_draws(len(names), 7, 1000)[:1000]:
        mine = np.concatenate([rows[names[slide]] for slide in draw])
        labels, answers = patches.labels[mine], patches.probabilities[mine]
        accuracies.append((answers.argmax(axis=1) == labels).mean())
        aucs.append(np.mean([sk.roc_auc_score(labels == label, answers[:, label]) for label in range(3)]))
    for name, values in (("accuracy", accuracies), ("macro_auc", aucs)):
        low, high = np.quantile(values, [0.025, 0.975])
        assert (found.of[name].low, found.of[name].high) == pytest.approx((low, high))
    assert found.note.endswith("with so few slides they are somewhat too narrow")


def test_a_class_on_few_slides_gets_no_interval() -> None:
    patches = random_patches(slides=4)
    found = class_intervals(patches, 3, seed=7)
    assert found.of == {}
    assert found.note.startswith("no interval: 4 slides, 4 with patches of class 0 and 4 with patches of class 1 and")


def test_the_folder_tells_classes_slides_and_confusion(tmp_path: Path) -> None:
    patches = random_patches()
    text = save_findings(
        tmp_path, class_findings("Three", {"validation": judge_classes(patches, "validation", CLASSES, 7)})
    )
    found = class_metrics(patches.labels, patches.probabilities, CLASSES)
    written = json.loads((tmp_path / "metrics.json").read_text())["validation"]
    assert written["confusion"] == [list(row) for row in found.confusion]
    assert written["classes"] == list(CLASSES)
    low, high = written["intervals"]["accuracy"]
    assert low < written["accuracy"] == found.accuracy < high
    assert f"| accuracy | {found.accuracy:.5f} ({low:.3f} to {high:.3f}) |" in text.splitlines()
    assert f"| in situ | {found.auc[1]:.5f} | {found.sensitivity[1]:.5f} |" in text
    rows = list(csv.DictReader(io.StringIO((tmp_path / "slides.csv").read_text())))
    assert [row["slide_id"] for row in rows] == patches.slides
    mine = patches.slide_ids == "s03"
    assert float(rows[3]["mean_probability_in situ"]) == pytest.approx(patches.probabilities[mine, 1].mean(), abs=1e-6)
    assert int(rows[3]["patches_invasive"]) == int((patches.labels[mine] == 2).sum())
    assert (tmp_path / "confusion.png").is_file()
    assert (tmp_path / "roc.png").is_file()


def test_the_likeliest_class_counts() -> None:
    judging = ManyClasses(CLASSES, seed=1)
    answers = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]])
    assert judging.decided(answers).tolist() == [1, 0]
    assert judging.of_class(answers, np.array([2, 1])).tolist() == [0.3, 0.4]
