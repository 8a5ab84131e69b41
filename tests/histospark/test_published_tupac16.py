"""TUPAC16 from its published files to unseen slides and fields: the demos as a user runs them."""

import json
from typing import Any

import pandas as pd

from tests.histospark.conftest import metrics
from tests.tables import ledger_of


def test_tupac16_scores_from_slides_and_their_list_to_grades_of_unseen_slides(ran: Any) -> None:
    out, losses = ran("tupac16")
    assert [last < first for first, *_, last in losses] == [True]
    scores = (out / "source" / "training_ground_truth.csv").read_text().split()
    listed = pd.read_csv(out / "slides.csv", dtype=str).set_index("slide_id")["label"]
    assert [line.split(",")[0] for line in scores] == [listed[f"TUPAC-TR-{n:03d}"] for n in range(1, len(scores) + 1)]
    assert metrics(out / "report")["spearman"]["value"] > 0.5
    graded = pd.read_csv(out / "report" / "slides.csv").set_index("slide_id")
    assert (graded["class"].str[-1] == listed[graded.index]).all()


def test_mitoses_from_lists_of_points_to_two_networks_and_scores_of_slides(ran: Any) -> None:
    out, losses = ran("tupac16_mitoses")
    assert [last < first for first, *_, last in losses] == [True, True]
    assert metrics(out / "report")["detections"]["f1"]["value"] > 0.5
    assert metrics(out / "scores")["kappa"]["value"] > 0.3
    tiles = ledger_of(out / "first_tiles")
    drawn = sum(len(path.read_text().split()) for path in (out / "source").glob("mitoses_ground_truth/*/*.csv"))
    assert tiles["positives"].sum() == drawn, "each mitosis has its patch"
    mined = json.loads(next((out / "mined").glob("*.geojson")).read_text())
    assert mined["features"], "points of the fields go on to the second network"
