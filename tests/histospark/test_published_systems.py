"""The published systems from their own layout to unseen cases: each demo as a user runs it, on what it draws."""

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import Command
from tests.tables import ledger_of

_EPOCH = re.compile(r"^epoch (\d+)/\d+: \d+ steps, loss ([\d.]+)", re.MULTILINE)


@pytest.fixture(scope="module")
def ran(histospark: Command, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs a demo, which ends with 1 where its model is not as good as it was elsewhere."""

    def run(recipe: str, *settings: str) -> tuple[Path, list[list[float]]]:
        out = tmp_path_factory.mktemp(recipe)
        ended = histospark("demo", "--recipe", recipe, "--out", out, *(f"--set={it}" for it in settings))
        assert ended.returncode == 0, (ended.stdout + ended.stderr)[-3000:]
        losses: list[list[float]] = []
        for epoch, loss in _EPOCH.findall(ended.stdout):
            losses += [[]] if epoch == "1" else []
            losses[-1].append(float(loss))
        return out, losses

    return run


def _metrics(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "metrics.json").read_text()))


def test_camelyon16_from_its_folders_to_the_froc_of_its_test_slides(ran: Any) -> None:
    out, losses = ran("liu")
    assert [last < first for first, *_, last in losses] == [True]
    found = _metrics(out / "report")
    assert found["froc"]["value"] > 0.5
    assert found["all slides"]["auc"] > 0.8
    card = json.loads((out / "model" / "model.json").read_text())
    assert not any(name.startswith("test") for names in card["data"]["slides"].values() for name in names)


def test_patchcamelyon_from_its_files_to_unseen_slides(ran: Any) -> None:
    out, losses = ran("pcam", "training.backbone=small_resnet")
    assert [last < first for first, *_, last in losses] == [True]
    assert len(ledger_of(out / "tiles")) == 10
    assert _metrics(out / "model")["test"]["auc"] > 0.7


def test_tupac16_scores_from_slides_and_their_list_to_grades_of_unseen_slides(ran: Any) -> None:
    out, losses = ran("tupac16")
    assert [last < first for first, *_, last in losses] == [True]
    scores = (out / "source" / "training_ground_truth.csv").read_text().split()
    listed = pd.read_csv(out / "slides.csv", dtype=str).set_index("slide_id")["label"]
    assert [line.split(",")[0] for line in scores] == [listed[f"TUPAC-TR-{n:03d}"] for n in range(1, len(scores) + 1)]
    assert _metrics(out / "report")["spearman"]["value"] > 0.5
    graded = pd.read_csv(out / "report" / "slides.csv").set_index("slide_id")
    assert (graded["class"].str[-1] == listed[graded.index]).all()


def test_mitoses_from_lists_of_points_to_two_networks_and_scores_of_slides(ran: Any) -> None:
    out, losses = ran("tupac16_mitoses")
    assert [last < first for first, *_, last in losses] == [True, True]
    assert _metrics(out / "report")["detections"]["f1"]["value"] > 0.5
    assert _metrics(out / "scores")["kappa"]["value"] > 0.3
    tiles = ledger_of(out / "first_tiles")
    drawn = sum(len(path.read_text().split()) for path in (out / "source").glob("mitoses_ground_truth/*/*.csv"))
    assert tiles["positives"].sum() == drawn, "each mitosis has its patch"
    mined = json.loads(next((out / "mined").glob("*.geojson")).read_text())
    assert mined["features"], "points of the fields go on to the second network"


def test_mammograms_from_dicom_and_lists_to_whole_images_of_unseen_patients(ran: Any) -> None:
    out, losses = ran("mammography")
    assert [last < first for first, *_, last in losses] == [True, True]
    assert _metrics(out / "report")["slide_auc"]["value"] > 0.6
    assert _metrics(out / "regions")["test"]["accuracy"] > 0.4, "of five classes"
    card = json.loads((out / "model" / "model.json").read_text())
    seen = {name for split in ("train", "validation") for name in card["data"]["slides"][split]}
    judged = set(pd.read_csv(out / "report" / "slides.csv")["slide_id"])
    assert judged
    assert not judged & seen
    assert len(list((out / "heatmaps" / "heatmaps").glob("*.png"))) == len(judged)
