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
from preprocessing.recipe_file import save_recipe
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


@dataclass(frozen=True)
class Site:
    """All that a scheduler's line names, at places with spaces in them; all slides are done."""

    recipe: Path
    slides: Path
    model: Path
    out: Path

    def add_slide(self) -> None:
        shutil.copy(self.slides / "tumor_01.tif", self.slides / "late.tif")

    def told(self) -> RunSummary:
        return RunSummary.model_validate_json((self.out / "report.json").read_text())

    @property
    def settings(self) -> dict[str, str]:
        """As the files in conf/schedules call them."""
        places = {"CONF": self.recipe, "SLIDES": self.slides, "MODEL": self.model, "OUT": self.out}
        return {name: str(place) for name, place in places.items()} | {"OPTIONS": "--settle 0 --master local[2]"}


@pytest.fixture
def site(finished: Run, tmp_path: Path) -> Site:
    folder = tmp_path / "a site"
    shutil.copytree(finished.slides, folder / "slides", ignore=shutil.ignore_patterns("bad.svs"))
    shutil.copytree(finished.out, folder / "out 1")
    shutil.copytree(finished.model.parent, folder / "model")
    save_recipe(finished.recipe, str(folder))
    return Site(folder / "recipe.yaml", folder / "slides", folder / "model" / finished.model.name, folder / "out 1")
