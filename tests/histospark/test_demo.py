"""The whole way, as `make demo` goes it: drawn slides, patch table, trained model, heatmap of an unseen slide."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import reference
from tests.conftest import Command
from tests.tables import ledger_of, patches_of


@pytest.fixture(scope="module")
def demo(histospark: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    ended = histospark("demo", "--out", out)
    assert ended.returncode == 0, ended.stderr[-3000:]
    (out / "said.txt").write_text(ended.stdout)
    return out


def test_unseen_slide_is_judged_well(demo: Path) -> None:
    assert json.loads((demo / "result" / "metrics.json").read_text())["all slides"]["auc"] >= 0.97


def test_nothing_of_the_unseen_slide_was_learned_from(demo: Path) -> None:
    assert len(ledger_of(demo / "tiles")) == 6
    assert patches_of(demo / "tiles", "tumor_unseen").empty
    card = json.loads((demo / "model" / "model.json").read_text())
    assert set(card["data"]["slides"]["train"]) == {"tumor_01", "tumor_02", "normal_01", "normal_02"}
    assert set(card["data"]["slides"]["validation"]) == {"tumor_03", "normal_03"}


def test_probabilities_are_high_inside_lesions_and_low_outside(demo: Path) -> None:
    """By the drawn mask at the center of each window, which the evaluation of the project does not read."""
    predictions = pd.read_parquet(demo / "result" / "predictions" / "slide_id=tumor_unseen")
    mask = reference.annotated_by_mask(demo / "slides" / "tumor_unseen_mask.tif", 1)
    row, column = (predictions["y"] // 2 + 40).to_numpy(), (predictions["x"] // 2 + 40).to_numpy()
    inside = mask[row, column]
    assert 100 < inside.sum() < len(inside)
    probability = predictions["probability"].to_numpy()
    assert np.median(probability[inside]) > 0.7
    assert np.median(probability[~inside]) < 0.3


def test_summary_says_what_was_done_and_where_to_look(demo: Path) -> None:
    said = (demo / "said.txt").read_text()
    for word in ("slides", "patches/s", "steps", "AUC", "heatmap", "ledger"):
        assert word in said
    heatmap = demo / "result" / "heatmaps" / "tumor_unseen.png"
    assert str(heatmap) in said
    assert heatmap.read_bytes().startswith(b"\x89PNG")
    assert (demo / "model" / "roc.png").exists()
    assert list((demo / "model" / "logs").rglob("events.out.tfevents.*"))
