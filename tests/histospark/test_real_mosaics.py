"""The same commands on slides made of real tissue: tile, train, and infer on a slide that was never trained on."""

import json
from pathlib import Path

import pandas as pd

from tests.conftest import Command
from tests.tables import ledger_of


def test_tile_train_infer_and_evaluate_with_tumor_104_unseen(histospark: Command, real: Path, tmp_path: Path) -> None:
    """One epoch of a small network from random weights: the way is proved here, not the quality."""
    recipe = ["--conf", "conf/camelyon16.yaml"]
    for override in (
        "tiling.splits.test=[tumor_104]", "tiling.splits.validation=[tumor_103, normal_102]",
        "training.weights=none", "training.backbone=small_resnet", "training.stages=[{epochs: 1}]",
        "tiling.sampling.normals_per_tumor=0.25", "tiling.sampling.from_slides_without_tumor=100",
        "inference.stride=150",
    ):  # fmt: skip
        recipe += ["--set", override]
    steps = [
        ["tile", *recipe, "--slides", real / "mosaic", "--out", tmp_path / "tiles"],
        ["train", *recipe, "--patches", tmp_path / "tiles", "--out", tmp_path / "model"],
        ["infer", *recipe, "--slides", real / "mosaic" / "tumor_104.tif",
         "--model", tmp_path / "model" / "model.keras", "--out", tmp_path / "result"],
        ["evaluate", "--predictions", tmp_path / "result", "--slides", real / "mosaic", "--out", tmp_path / "report"],
    ]  # fmt: skip
    for step in steps:
        ended = histospark(*step)
        assert ended.returncode == 0, ended.stderr[-3000:]
    assert (ledger_of(tmp_path / "tiles")["status"] == "done").all()
    card = json.loads((tmp_path / "model" / "model.json").read_text())
    assert set(card["data"]["slides"]["test"]) == {"tumor_104"}
    assert "tumor_104" not in set(card["data"]["slides"]["train"]) | set(card["data"]["slides"]["validation"])
    assert set(card["metrics"]) == {"validation", "test"}
    predictions = pd.read_parquet(tmp_path / "result" / "predictions" / "slide_id=tumor_104")
    assert len(predictions) > 50
    assert predictions["probability"].between(0, 1).all()
    assert (tmp_path / "result" / "heatmaps" / "tumor_104.png").exists()
    assert (tmp_path / "report" / "roc.png").exists()
