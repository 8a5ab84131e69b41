"""A run of `infer` leaves the same page as a refresh, but for what only a refresh knows."""

import shutil
from collections.abc import Callable

import pytest

from cluster.errors import JobError, UsageError
from inference.job import inference_id, run_inference
from inference.refreshing.reported import reported
from inference.refreshing.run_summary import RunSummary
from preprocessing.inventory import inventory
from tests.inference.refreshing.conftest import Nights
from training.card import load_card


def infer(nights: Nights, work: Callable[[], object] | None = None) -> RunSummary | None:
    """Run it as the command does, or do something else in its place; what was told, if anything."""
    recipe = nights.recipe
    model_id = load_card(nights.model).model_id
    entries = inventory(str(nights.slides), recipe.tiling, recipe.seed)
    page = nights.out / "report.json"
    try:
        with reported(str(nights.out), recipe, model_id, inference_id(recipe, model_id), str(nights.slides), entries):
            if work is None:
                run_inference(nights.spark, recipe, entries, nights.model, str(nights.out))
            else:
                work()
    except (JobError, UsageError):
        pass  # what was told of it is looked at
    return RunSummary.model_validate_json(page.read_text()) if page.exists() else None


def test_inference_is_told(nights: Nights) -> None:
    shutil.copy(nights.slides / "tumor_01.tif", nights.slides / "late.tif")
    (nights.slides / "normal_01.tif").unlink()
    told = infer(nights)
    assert told is not None
    assert (told.kind, told.new, told.retried, told.done, told.skipped) == ("infer", ("late",), ("bad",), ("late",), 3)
    assert ([one.slide_id for one in told.failed], told.exit_code) == (["bad"], 3)
    assert told.gone == 0  # a part of the slides may have been asked for
    assert told.windows_per_second == pytest.approx(told.windows / told.infer_seconds, rel=0.1)  # both are rounded
    assert told.engine == "keras"
    assert (nights.out / "report.html").exists()
    assert not (nights.out / "refresh").exists()


def test_broken_inference_is_told_and_refused_one_is_not(nights: Nights) -> None:
    def refused() -> None:
        raise UsageError("another job is at work")

    def broken() -> None:
        raise JobError("the disk is full")

    assert infer(nights, refused) is None
    told = infer(nights, broken)
    assert told is not None
    assert (told.exit_code, told.stopped, told.left, told.skipped) == (1, "JobError: the disk is full", 1, 4)
