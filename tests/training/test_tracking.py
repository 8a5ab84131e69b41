"""A training on MLflow: one run for all its attempts, and a lost server costs no training.

The store is MLflow's own, on files; a server has the same client in front.
"""

import logging
from pathlib import Path

import pytest
from mlflow import MlflowClient

from cluster.errors import UsageError
from tests.training.tiny_table import tiny_recipe
from training.tracking import TrackEpochs, start_tracking

EPOCH = {"cross_entropy": 0.5, "val_cross_entropy": 0.6, "val_auc": 0.7}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return (tmp_path / "store").as_uri()


def test_run_holds_settings_epochs_metrics_and_files(store: str, tmp_path: Path) -> None:
    recipe = tiny_recipe(stages=[{"epochs": 2}])
    run = start_tracking(store, recipe, tmp_path)
    TrackEpochs(run).on_epoch_end(0, EPOCH)
    report = tmp_path / "report.html"
    report.write_text("<p>good</p>")
    run.finish({"validation": {"auc": 0.9}}, [report])

    kept = MlflowClient(store).get_run(run.run_id)
    assert kept.info.status == "FINISHED"
    assert kept.data.params["training.stages.0.epochs"] == "2"
    assert kept.data.params["tiling.scales.1.level"] == "2"
    assert kept.data.metrics["val_cross_entropy"] == 0.6
    assert kept.data.metrics["report_validation_auc"] == 0.9
    assert kept.data.tags["recipe_id"] == recipe.recipe_id
    artifacts = MlflowClient(store).list_artifacts(run.run_id)
    assert [entry.path for entry in artifacts] == ["report.html"]


def test_training_that_broke_off_goes_on_in_its_run(store: str, tmp_path: Path) -> None:
    first = start_tracking(store, tiny_recipe(), tmp_path)
    first.failed()
    second = start_tracking(store, tiny_recipe(), tmp_path)
    assert second.run_id == first.run_id
    assert MlflowClient(store).get_run(first.run_id).info.status == "RUNNING"


def test_lost_server_is_told_once_and_stops_nothing(
    store: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = start_tracking(store, tiny_recipe(), tmp_path)
    MlflowClient(store).delete_run(run.run_id)  # what comes next is refused, as by a server that forgot the run
    with caplog.at_level(logging.WARNING, "histospark"):
        run.epoch(1, EPOCH)
        run.epoch(2, EPOCH)
    assert run.lost
    assert len(caplog.records) == 1


def test_server_that_does_not_answer_is_told_before_the_training_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--mlflow http://127\.0\.0\.1:9 cannot be used") as told:
        start_tracking("http://someone:secret@127.0.0.1:9", tiny_recipe(), tmp_path)
    assert "secret" not in str(told.value)
