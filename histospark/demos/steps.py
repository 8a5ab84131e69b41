"""What the demos share: steps that are told and timed, and the summary at their end."""

import time
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypeVar

import click

from cluster.errors import JobError
from cluster.session import spark_session
from inference.job import run_inference
from preprocessing.batch import BatchSummary
from preprocessing.job import run_tiling
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from preprocessing.slide_entry import SlideEntry
from training.card import load_card
from training.job import TrainingResult

T = TypeVar("T")


class Stopwatch:
    """Runs the steps of a demo and remembers how long each took.

    Attributes:
        seconds: by step.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Say what comes, do it, and give what it gives."""
        click.echo(f"── {name}")
        started = time.monotonic()
        result = work()
        self.seconds[name] = time.monotonic() - started
        return result


def shipped_recipe(name: str, overrides: Sequence[str]) -> Recipe:
    """A recipe of `conf/`, changed."""
    with as_file(files("conf") / f"{name}.yaml") as path:
        return load_recipe(str(path), overrides)


def tiled(recipe: Recipe, entries: Sequence[SlideEntry], table: Path, master: str | None) -> BatchSummary:
    """Tile slides, none of which may fail."""
    with spark_session("demo tile", master) as spark:
        return whole(run_tiling(spark, recipe, entries, str(table)))


def inferred(
    recipe: Recipe, entries: Sequence[SlideEntry], model: Path, result: Path, master: str | None
) -> BatchSummary:
    """Run a model over slides, none of which may fail."""
    with spark_session("demo infer", master) as spark:
        return whole(run_inference(spark, recipe, entries, model, str(result)))


def whole(summary: BatchSummary) -> BatchSummary:
    """A job of a demo has nothing that may fail.

    Raises:
        JobError: something did.
    """
    if summary.failed:
        raise JobError(f"{summary.failed} of the demo's slides failed: {summary.faults[0]}")
    return summary


def training_told(trained: TrainingResult, batch_size: int, seconds: float) -> str:
    """Rows, epochs and rate of a training."""
    rows = sum(load_card(trained.model).data.rows["train"].values())
    steps = len(trained.epochs) * -(-rows // batch_size)
    rate = len(trained.epochs) * rows / sum(epoch.seconds for epoch in trained.epochs)
    return f"{steps} steps of {batch_size} at {rate:.0f} patches/s, {seconds:.0f} s"


def told(lines: Mapping[str, str]) -> str:
    """The summary of a demo, a line each."""
    return "\n".join(f"{name:>10}  {text}" for name, text in lines.items())
