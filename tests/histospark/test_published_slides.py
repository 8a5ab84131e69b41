"""CAMELYON16 and PatchCamelyon from their published files to unseen slides: the demos as a user runs them."""

import json
from typing import Any

from tests.histospark.conftest import metrics
from tests.tables import ledger_of


def test_camelyon16_from_its_folders_to_the_froc_of_its_test_slides(ran: Any) -> None:
    out, losses = ran("liu")
    assert [last < first for first, *_, last in losses] == [True]
    found = metrics(out / "report")
    assert found["froc"]["value"] > 0.5
    assert found["all slides"]["auc"] > 0.8
    card = json.loads((out / "model" / "model.json").read_text())
    assert not any(name.startswith("test") for names in card["data"]["slides"].values() for name in names)


def test_patchcamelyon_from_its_files_to_unseen_slides(ran: Any) -> None:
    out, losses = ran("pcam", "training.backbone=small_resnet")
    assert [last < first for first, *_, last in losses] == [True]
    assert len(ledger_of(out / "tiles")) == 10
    assert metrics(out / "model")["test"]["auc"] > 0.7
