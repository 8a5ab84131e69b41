"""A refresh of its own copy of the shared finished run, in the shared Spark session."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from inference.refreshing.one_refresh import Order, refresh_once
from inference.refreshing.run_summary import RunSummary
from preprocessing.recipe import Recipe
from tests.inference.conftest import Run


@dataclass
class Nights:
    """Refreshes of one folder, one call a night.

    Attributes:
        sessions: how often Spark was asked for.
        slept: seconds, by which `meanwhile` happens.
    """

    spark: SparkSession
    recipe: Recipe
    slides: Path
    out: Path
    model: Path
    sessions: int = 0
    slept: list[float] = field(default_factory=list)

    def refresh(self, meanwhile: Callable[[], object] = lambda: None, settle: float = 60) -> RunSummary:
        """One night; `meanwhile` happens between the two looks."""

        def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            meanwhile()

        order = Order(self.recipe, str(self.slides), self.model, str(self.out), wave=4, settle=settle)
        return refresh_once(order, self.session, sleep)

    def session(self) -> AbstractContextManager[SparkSession]:
        self.sessions += 1
        return nullcontext(self.spark)


@pytest.fixture
def nights(spark: SparkSession, finished: Run, tmp_path: Path) -> Nights:
    """Three slides are done, one is empty, one fails: `bad.svs`."""
    slides = Path(shutil.copytree(finished.slides, tmp_path / "slides"))  # with the times of the files
    out = Path(shutil.copytree(finished.out, tmp_path / "out"))
    return Nights(spark, finished.recipe, slides, out, finished.model)


@pytest.fixture
def good_nights(nights: Nights) -> Nights:
    """The same without the slide that fails."""
    (nights.slides / "bad.svs").unlink()
    return nights
