"""What a folder holds once the slides of the patches are known; the numbers are those of the parts, the figures too."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.scored import random_slides, scored
from training import figures
from training.findings import save_findings
from training.metrics import choose_thresholds
from training.report import Judged, binary_findings, judge, judge_split

FIGURES = ("roc.png", "precision_recall.png", "calibration.png", "confusion.png")
SMALL = scored({"t1": [(1, 0.875), (1, 0.375), (0, 0.625)], "n1": [(0, 0.125)]})


@pytest.fixture(scope="module")
def sets() -> dict[str, Judged]:
    """A split of twelve slides, and one of two judged by the thresholds of the first."""
    validation = random_slides(12, 30, seed=1)
    thresholds = choose_thresholds(validation.labels, validation.probabilities, 0.95)
    return {
        "validation": judge_split(validation, "validation", thresholds, seed=5),
        "test": judge_split(SMALL, "test", thresholds, seed=5),
    }


@pytest.fixture(scope="module")
def folder(sets: dict[str, Judged], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    save_findings(out, binary_findings("By slides", sets))
    return out


def test_numbers_of_the_plain_table_stand_where_they_stood(sets: dict[str, Judged], folder: Path) -> None:
    written = json.loads((folder / "metrics.json").read_text())
    assert set(written) == {"validation", "test"}
    patches = random_slides(12, 30, seed=1)
    plain = judge(patches.labels, patches.probabilities, sets["validation"].metrics.threshold).metrics
    assert {name: written["validation"][name] for name in vars(plain)} == vars(plain)


def test_thresholds_come_from_validation_alone(folder: Path) -> None:
    written = json.loads((folder / "metrics.json").read_text())
    for of in (lambda it: it["threshold"], lambda it: it["at_target_sensitivity"]["threshold"]):
        assert of(written["validation"]) == of(written["test"])
    assert written["validation"]["at_target_sensitivity"]["sensitivity"] >= 0.95
    assert written["validation"]["target_sensitivity"] == 0.95


def test_the_second_table_has_intervals_at_its_own_threshold(folder: Path) -> None:
    written = json.loads((folder / "metrics.json").read_text())["validation"]
    second = written["intervals_at_target_sensitivity"]
    assert second["auc"] == written["intervals"]["auc"]
    low, high = second["sensitivity"]
    value = written["at_target_sensitivity"]["sensitivity"]
    assert low < value < high
    assert written["intervals"]["sensitivity"] != [low, high]
    assert f"| sensitivity | {value:.5f} ({low:.3f} to {high:.3f}) |" in (folder / "metrics.md").read_text()


def test_intervals_stand_behind_their_numbers_or_a_sentence_says_why_not(folder: Path) -> None:
    written = json.loads((folder / "metrics.json").read_text())
    table = (folder / "metrics.md").read_text().splitlines()
    low, high = written["validation"]["intervals"]["auc"]
    assert low < written["validation"]["auc"] < high
    auc, other = written["validation"]["auc"], written["test"]["auc"]
    assert f"| auc | {auc:.5f} ({low:.3f} to {high:.3f}) | {other:.5f} |" in table
    assert written["test"]["intervals"] == {}
    reason = "no interval: 2 slides, 1 with positive and 2 with negative patches; at least 5 of each are needed"
    assert written["test"]["interval_notes"]["patches"] == reason
    assert f"- test, patches: {reason}." in table


def test_slides_without_both_classes_show_a_dash(tmp_path: Path) -> None:
    patches = scored({"only": [(1, 0.9), (0, 0.1)]})
    thresholds = choose_thresholds(patches.labels, patches.probabilities, 0.95)
    text = save_findings(
        tmp_path, binary_findings("One", {"validation": judge_split(patches, "validation", thresholds, 1)})
    )
    assert "| slide_auc | - |" in text.splitlines()
    assert json.loads((tmp_path / "metrics.json").read_text())["validation"]["slide_auc"] is None


def test_an_interval_without_width_is_not_sold_as_certainty(tmp_path: Path) -> None:
    patches = scored({f"s{number}": [(1, 0.9), (0, 0.1)] for number in range(5)})
    thresholds = choose_thresholds(patches.labels, patches.probabilities, 0.95)
    text = save_findings(
        tmp_path, binary_findings("Perfect", {"validation": judge_split(patches, "validation", thresholds, 1)})
    )
    assert "| auc | 1.00000 (1.000 to 1.000) |" in text
    assert "- An interval without width only says that no slide drawn differed; other slides may." in text.splitlines()


def test_a_set_without_known_slides_stands_beside_one_with(sets: dict[str, Judged], tmp_path: Path) -> None:
    text = save_findings(
        tmp_path, binary_findings("Both", {"plain": judge([0, 1], [0.25, 0.75], 0.5), "test": sets["test"]})
    )
    lines = text.splitlines()
    assert "| metric | plain | test |" in lines
    assert "| slides | - | 2 |" in lines
    assert "slides" not in json.loads((tmp_path / "metrics.json").read_text())["plain"]


def test_every_slide_of_every_split_has_its_line(folder: Path) -> None:
    with (folder / "slides.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["split"], row["slide_id"]) for row in rows] == [
        *(("validation", f"slide_{number:03d}") for number in range(12)),
        ("test", "n1"),
        ("test", "t1"),
    ]


def test_figures_are_pictures_with_something_on_them(folder: Path) -> None:
    for name in FIGURES:
        with Image.open(folder / name) as plot:
            assert plot.format == "PNG"
            assert min(plot.size) > 300
            assert len(plot.convert("RGB").getcolors(1_000_000) or []) > 10


def test_the_figures_show_the_numbers(sets: dict[str, Judged]) -> None:
    only = {"test": sets["test"]}
    metrics = {name: it.metrics for name, it in only.items()}
    evidence = {name: it.evidence for name, it in only.items() if it.evidence is not None}
    upper, lower = figures.calibration_figure("t", evidence).axes
    _, drawn = upper.get_lines()  # the first is the diagonal
    assert drawn.get_xdata().tolist() == [0.125, 0.375, 0.625, 0.875]
    assert drawn.get_ydata().tolist() == [0, 1, 0, 1]
    assert [bar.get_height() for bar in lower.patches] == [0, 1, 0, 1, 0, 0, 1, 0, 1, 0]
    (panel,) = figures.confusion_figure("t", metrics, evidence).axes
    counts = evidence["test"].confusion
    assert [text.get_text().split("\n")[0] for text in panel.texts] == [
        str(counts.true_negatives),
        str(counts.false_positives),
        str(counts.false_negatives),
        str(counts.true_positives),
    ]
    (axes,) = figures.precision_recall_figure("t", metrics, evidence).axes
    curve = axes.get_lines()[0]
    # 0.875 is right; 0.625 is not; with 0.375 two of three are right.
    assert np.allclose(curve.get_xydata()[::-1], [(0, 1), (0.5, 1), (0.5, 0.5), (1, 2 / 3), (1, 0.5)])


def test_axes_are_labeled(sets: dict[str, Judged]) -> None:
    metrics = {name: it.metrics for name, it in sets.items()}
    evidence = {name: it.evidence for name, it in sets.items() if it.evidence is not None}
    drawn = (
        figures.roc_figure("t", metrics, {name: it.curve for name, it in sets.items()}),
        figures.precision_recall_figure("t", metrics, evidence),
        figures.confusion_figure("t", metrics, evidence),
    )
    for figure in drawn:
        assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)


def test_the_area_under_the_drawn_steps_is_the_average_precision(sets: dict[str, Judged]) -> None:
    metrics = {name: it.metrics for name, it in sets.items()}
    evidence = {name: it.evidence for name, it in sets.items() if it.evidence is not None}
    (axes,) = figures.precision_recall_figure("t", metrics, evidence).axes
    line = next(line for line in axes.get_lines() if str(line.get_label()).startswith("validation"))
    recall, precision = line.get_xdata(), line.get_ydata()
    assert line.get_drawstyle() == "steps-post"  # a point's height holds until the next one
    area = (-np.diff(recall) * precision[:-1]).sum()
    assert area == pytest.approx(evidence["validation"].curve.average_precision)
