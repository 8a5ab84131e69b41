"""Predictions, slides and annotations on another store: judged as those of this machine are."""

import json
from pathlib import Path

import pytest

from cluster.storage import Store
from inference.evaluate import evaluate_run, save_evaluation
from preprocessing.inventory import inventory
from preprocessing.recipe import Recipe
from tests.cluster.tables_elsewhere import stored
from tests.inference.conftest import Run


@pytest.mark.parametrize("elsewhere", ["s3"], indirect=True)
def test_metrics_are_those_of_a_local_run(
    elsewhere: str, finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HISTOSPARK_CACHE", str(tmp_path / "cache"))
    run, slides = stored(finished.out, Store(f"{elsewhere}/run")), stored(finished.slides, Store(f"{elsewhere}/slides"))
    there = metrics_of(run.uri, slides.uri, finished.recipe, tmp_path / "there")
    here = metrics_of(str(finished.out), str(finished.slides), finished.recipe, tmp_path / "here")
    assert there == here
    assert "metrics.json" in here


def metrics_of(run: str, slides: str, recipe: Recipe, out: Path) -> dict[str, object]:
    """All tables of the report by their names."""
    save_evaluation(evaluate_run(run, inventory(slides, recipe.tiling, recipe.seed)), out)
    tables = {path.name: path.read_text() for path in out.iterdir() if path.suffix != ".png"}
    return {name: json.loads(text) if name.endswith(".json") else text for name, text in tables.items()}
