"""CBIS-DDSM from its published files to unseen patients: the demo as a user runs it."""

import json
from typing import Any

import pandas as pd

from tests.histospark.conftest import metrics


def test_mammograms_from_dicom_and_lists_to_whole_images_of_unseen_patients(ran: Any) -> None:
    out, losses = ran("mammography")
    assert [last < first for first, *_, last in losses] == [True, True]
    assert metrics(out / "report")["slide_auc"]["value"] > 0.6
    assert metrics(out / "regions")["test"]["accuracy"] > 0.4, "of five classes"
    card = json.loads((out / "model" / "model.json").read_text())
    seen = {name for split in ("train", "validation") for name in card["data"]["slides"][split]}
    judged = set(pd.read_csv(out / "report" / "slides.csv")["slide_id"])
    assert judged
    assert not judged & seen
    assert len(list((out / "heatmaps" / "heatmaps").glob("*.png"))) == len(judged)
