"""Predictions are judged by the annotation under their centers; the table is what counting gives."""

import json
import shutil
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

from cluster.errors import UsageError
from cluster.storage import Store
from inference.evaluate import evaluate_predictions
from inference.judged_windows import judged_windows
from inference.predict import prediction_recipe
from preprocessing.inventory import inventory
from tests import reference
from tests.inference.color_model import THRESHOLD
from tests.inference.conftest import GOOD, Run
from tests.inference.slow import table_by_counting
from tests.inference.tables import predictions_of


def slow_labels(run: Run, slide_id: str, source: str, at_least: float | None = None) -> list[bool]:
    """Rule `any`, or a share of the center; in the order of the predictions."""
    slide = run.slides / f"{slide_id}.tif"
    got = predictions_of(run.out, slide_id)
    if not slide.with_suffix(".xml").exists():
        return [False] * len(got)
    if source == "mask":
        annotated = reference.annotated_by_mask(slide.with_name(f"{slide_id}_mask.tif"), 1)
    else:
        annotated = reference.annotated_by_xml(slide.with_suffix(".xml"), slide, 1)
    labels = []
    for x, y in zip(got["x"] // 2 + 15, got["y"] // 2 + 15, strict=True):  # the middle 50 of 80 pixels
        share = annotated[y : y + 50, x : x + 50].mean()
        labels.append(bool(share > 0 if at_least is None else share >= at_least))
    return labels


@pytest.mark.parametrize("source", ["polygons", "mask"])
@pytest.mark.parametrize("at_least", [None, 0.4])
def test_labels_are_those_of_the_slow_reference(finished: Run, source: str, at_least: float | None) -> None:
    rule = {"rule": "any"} if at_least is None else {"rule": "fraction", "min_fraction": at_least}
    labels = finished.recipe.tiling.labels.model_copy(update={"source": source, **rule})
    recipe = prediction_recipe(
        finished.recipe.model_copy(update={"tiling": finished.recipe.tiling.model_copy(update={"labels": labels})})
    )
    entries = inventory(str(finished.slides), recipe.tiling, recipe.seed)
    found = [judged_windows(Store(str(finished.out)), entry, recipe) for entry in entries]
    judged = {slide.slide_id: slide for slide in found if slide is not None}
    assert tuple(judged) == GOOD
    for slide_id, slide in judged.items():
        wanted = slow_labels(finished, slide_id, source, at_least)
        assert slide.labels.tolist() == wanted
        assert any(wanted) == (slide_id != "normal_01")
        np.testing.assert_array_equal(slide.probabilities, predictions_of(finished.out, slide_id)["probability"])


def test_metrics_are_those_of_counting(finished: Run, tmp_path: Path) -> None:
    entries = inventory(str(finished.slides), finished.recipe.tiling, finished.recipe.seed)
    metrics, table = evaluate_predictions(str(finished.out), entries, tmp_path / "report")
    labels = {slide_id: slow_labels(finished, slide_id, "polygons") for slide_id in GOOD}
    scores = {slide_id: predictions_of(finished.out, slide_id)["probability"] for slide_id in GOOD}
    written = json.loads((tmp_path / "report" / "metrics.json").read_text())
    of_windows = set(written) - {"slide_auc", "froc", "sensitivity_at", "slides", "left_out"}
    assert of_windows == {"all slides", "tumor_01", "tumor_02"}  # a slide of one class has no ROC of its own
    every_label, every_score = (np.concatenate(list(parts.values())) for parts in (labels, scores))
    pooled = table_by_counting(every_label, every_score, THRESHOLD)
    assert written["all slides"] == pytest.approx(pooled)
    assert 0 < pooled["sensitivity"] < 1
    for slide_id in ("tumor_01", "tumor_02"):
        assert written[slide_id] == pytest.approx(table_by_counting(labels[slide_id], scores[slide_id], THRESHOLD))
    assert metrics.auc == written["all slides"]["auc"]
    assert (tmp_path / "report" / "metrics.md").read_text() == table
    assert f"{pooled['auc']:.5f}" in table
    with Image.open(tmp_path / "report" / "roc.png") as plot:
        assert min(plot.size) > 300


def test_predictions_are_evaluated_wherever_they_lie(finished: Run, tmp_path: Path) -> None:
    """A file system that is not this machine's disk."""
    entries = inventory(str(finished.slides), finished.recipe.tiling, finished.recipe.seed)
    memory = fsspec.filesystem("memory")
    memory.put(str(finished.out), "/evaluated", recursive=True)
    try:
        remote, _ = evaluate_predictions("memory://evaluated", entries, tmp_path / "remote")
    finally:
        memory.rm("/evaluated", recursive=True)
    assert remote == evaluate_predictions(str(finished.out), entries, tmp_path / "local")[0]


@pytest.mark.parametrize("names", [["tumor_01.tif"], ["normal_01.tif"]], ids=["nothing annotated", "one class alone"])
def test_slides_that_cannot_be_judged_are_wrong_use(finished: Run, tmp_path: Path, names: list[str]) -> None:
    slides = tmp_path / "slides"
    slides.mkdir()
    for name in names:
        shutil.copy2(finished.slides / name, slides)
    entries = inventory(str(slides), finished.recipe.tiling, finished.recipe.seed)
    with pytest.raises(UsageError, match="both classes"):
        evaluate_predictions(str(finished.out), entries, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_folder_without_predictions_is_wrong_use(finished: Run, tmp_path: Path) -> None:
    entries = inventory(str(finished.slides), finished.recipe.tiling, finished.recipe.seed)
    with pytest.raises(UsageError, match="holds no predictions"):
        evaluate_predictions(str(tmp_path), entries, tmp_path / "report")
