"""Metrics, report and card against numbers worked out by hand."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from cluster.errors import UsageError
from tests.training.tiny_table import WrittenTable
from training.card import DataCard, ModelCard, installed_versions, load_card, model_id
from training.class_metrics import class_metrics
from training.findings import save_findings
from training.metrics import (
    Confusion,
    Thresholds,
    binary_metrics,
    choose_thresholds,
    confusion,
    precision_recall_points,
    roc_points,
    sensitivity_threshold,
    youden_threshold,
)
from training.report import binary_findings, judge
from training.table import open_table

LABELS = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
SCORES = [0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 0.35, 0.7, 0.8, 0.9]


def test_the_table_at_a_threshold() -> None:
    metrics = binary_metrics(LABELS, SCORES, 0.6)
    # Pairs won by the positive: 0.35 beats 3, 0.7 beats 5, 0.8 beats 5 and ties one, 0.9 beats 6.
    assert metrics.auc == pytest.approx((3 + 5 + 5.5 + 6) / 24)
    assert metrics.threshold == 0.6
    assert metrics.sensitivity == metrics.recall == 3 / 4
    assert metrics.specificity == 4 / 6
    assert metrics.precision == 3 / 5
    assert (metrics.patches, metrics.positives) == (10, 4)


def test_a_probability_equal_to_the_threshold_is_positive() -> None:
    assert binary_metrics([0, 1], [0.2, 0.5], 0.5).sensitivity == 1


def test_precision_is_zero_where_nothing_is_found() -> None:
    assert binary_metrics([0, 1], [0.2, 0.5], 0.9).precision == 0


def test_youden_takes_the_best_cut() -> None:
    # At 0.7: 3 of 4 found, 1 of 6 wrong: 0.583; at 0.35: 4 of 4 found, 3 of 6 wrong: 0.5.
    assert youden_threshold(LABELS, SCORES) == 0.7
    assert youden_threshold([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]) == 0.3


def test_youden_gives_a_probability_even_for_a_model_that_is_always_wrong() -> None:
    assert youden_threshold([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4]) in {0.1, 0.2, 0.3, 0.4}


def test_the_highest_threshold_that_is_sensitive_enough() -> None:
    # Positives: 0.9, 0.8, 0.7, 0.35; three of four are exactly 0.75.
    wanted = {0.01: 0.9, 0.25: 0.9, 0.26: 0.8, 0.75: 0.7, 0.76: 0.35, 1.0: 0.35}
    assert {target: sensitivity_threshold(LABELS, SCORES, target) for target in wanted} == wanted
    assert binary_metrics(LABELS, SCORES, 0.7).sensitivity == 0.75


@pytest.mark.parametrize("found", range(1, 101))
def test_a_share_that_can_be_met_exactly_is_met_exactly(found: int) -> None:
    scores = [number / 200 for number in range(100, 200)]
    assert sensitivity_threshold([1] * 100, scores, found / 100) == scores[-found]


def test_positives_that_tie_are_found_together() -> None:
    assert sensitivity_threshold([1, 1, 1, 0], [0.5, 0.5, 0.9, 0.7], 0.4) == 0.5


def test_both_thresholds_are_chosen_at_once() -> None:
    assert choose_thresholds(LABELS, SCORES, 0.95) == Thresholds(0.7, 0.35, 0.95)


def test_the_confusion_matrix_counts() -> None:
    assert confusion(LABELS, SCORES, 0.6) == Confusion(
        true_negatives=4, false_positives=2, false_negatives=1, true_positives=3
    )


def test_the_precision_recall_curve_by_hand() -> None:
    curve = precision_recall_points([0, 1, 0, 1], [0.1, 0.4, 0.6, 0.8])
    # 0.8 finds half of the positives, at precision 1; 0.4 finds the other, 2 of 3 being right.
    assert curve.average_precision == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    points = dict(zip(curve.recall.tolist(), curve.precision.tolist(), strict=True))
    assert points[0] == 1
    assert curve.recall[0] == 1
    assert curve.recall[-1] == 0


def test_the_curve_goes_from_corner_to_corner() -> None:
    curve = roc_points([0, 1], [0.2, 0.5])
    assert list(zip(curve.false_positive_rate, curve.true_positive_rate, strict=True)) == [(0, 0), (0, 1), (1, 1)]


def test_the_report_holds_table_numbers_and_curve(tmp_path: Path) -> None:
    judged = {"validation": judge(LABELS, SCORES, 0.6), "test": judge([0, 1], [0.2, 0.5], 0.6)}
    table = save_findings(tmp_path, binary_findings("By hand", judged))
    assert "| sensitivity | 0.75000 | 0.00000 |" in table.splitlines()
    assert "| patches | 10 | 2 |" in table.splitlines()
    assert (tmp_path / "metrics.md").read_text() == table
    assert table.startswith("## By hand\n\n| metric | validation | test |\n|---|---:|---:|\n| auc | ")
    assert json.loads((tmp_path / "metrics.json").read_text())["validation"]["precision"] == 0.6
    with Image.open(tmp_path / "roc.png") as plot:
        assert plot.format == "PNG"
        assert len(plot.convert("RGB").getcolors(100_000) or []) > 10


def written_card(written: WrittenTable, model: Path) -> ModelCard:
    model.write_bytes(b"weights")
    return ModelCard(
        model_id=model_id(model),
        recipe=written.recipe,
        data=DataCard.of(open_table(written.uri)),
        versions=installed_versions(),
        metrics={"validation": binary_metrics(LABELS, SCORES, 0.6)},
        created_at=datetime.now(UTC),
    )


def test_a_card_comes_back_as_it_was_saved(written: WrittenTable, tmp_path: Path) -> None:
    card = written_card(written, tmp_path / "model.keras")
    assert card.save(tmp_path / "model.keras") == tmp_path / "model.json"
    again = load_card(tmp_path / "model.keras")
    assert again == card
    assert again.data.rows == {"train": {"0": 51, "1": 42}, "validation": {"0": 21, "1": 22}}
    assert again.data.slides["validation"] == {"tumor_03": 43}
    assert {"python", "keras", "histospark"} <= again.versions.keys()


def test_a_card_that_is_missing_broken_or_of_another_model_is_refused(written: WrittenTable, tmp_path: Path) -> None:
    model = tmp_path / "model.keras"
    with pytest.raises(UsageError, match=r"there is no .*model\.keras"):
        load_card(model)
    card = written_card(written, model)
    with pytest.raises(UsageError, match=r"there is no .*model\.json"):
        load_card(model)
    card.save(model)
    model.write_bytes(b"other weights")
    with pytest.raises(UsageError, match=f"describes the model {card.model_id}"):
        load_card(model)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(UsageError, match="is no model card"):
        load_card(model)


def test_metrics_report_and_card_load_without_tensorflow() -> None:
    code = (
        "import sys, training.metrics, training.report, training.card\n"
        "assert not {'tensorflow', 'keras', 'matplotlib.pyplot'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_card_has_the_table_of_two_classes_or_of_more(written: WrittenTable, tmp_path: Path) -> None:
    card = written_card(written, tmp_path / "model.keras")
    assert card.threshold == 0.6
    more = class_metrics(np.array([0, 1, 2], np.int32), np.eye(3), ("normal", "in situ", "invasive"))
    fields = {name: getattr(card, name) for name in ModelCard.model_fields}
    three = ModelCard(**{**fields, "metrics": {}, "class_metrics": {"validation": more}})
    assert ModelCard.model_validate_json(three.model_dump_json()) == three
    with pytest.raises(UsageError, match=f"{card.model_id} has no threshold"):
        _ = three.threshold
    for both in ({}, card.metrics):
        with pytest.raises(ValidationError, match="either `metrics`"):
            ModelCard(**{**fields, "metrics": both, "class_metrics": three.class_metrics if both else {}})
