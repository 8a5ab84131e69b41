"""bfloat16 is taken only where it agrees with float32 on windows of the run, and a folder never holds both."""

import json
import logging
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from cluster.errors import JobError
from inference.engines.base import Images
from inference.engines.note import Question
from inference.engines.openvino_engine import computes_bfloat16
from inference.engines.probe import WINDOWS, Probe, compared
from inference.engines.settled import agreed_precision
from inference.job import run_inference
from preprocessing.inventory import inventory
from preprocessing.recipe import Recipe
from tests.inference.conftest import Run
from tests.inference.tables import predictions_of
from training.card import load_card

needs_bfloat16 = pytest.mark.skipif(not computes_bfloat16(), reason="this CPU does not compute bfloat16")


def with_inference(recipe: Recipe, **settings: object) -> Recipe:
    return recipe.model_copy(update={"inference": recipe.inference.model_copy(update=settings)})


def infer(spark: SparkSession, recipe: Recipe, slides: Path, model: Path, out: Path) -> str:
    """Run over some slides; what `slide_scores` says of the engine."""
    summary = run_inference(spark, recipe, inventory(str(slides), recipe.tiling, recipe.seed), model, str(out))
    assert summary.failed == 0, summary.faults
    (engine,) = set(pd.read_parquet(out / "slide_scores")["engine"])
    return str(engine)


def note_of(out: Path) -> dict[str, object]:
    return dict(json.loads((out / "engine.json").read_text()))


@needs_bfloat16
def test_taken_where_it_agrees_and_the_log_says_by_how_much(
    spark: SparkSession, finished: Run, exported: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slides, out, recipe = tmp_path / "slides", tmp_path / "out", with_inference(finished.recipe, tolerance=0.03)
    slides.mkdir()
    for name in ("glass_01", "tumor_01"):  # the first one has nothing to compare
        shutil.copy(finished.slides / f"{name}.tif", slides)
    with caplog.at_level(logging.INFO, "histospark"):
        assert infer(spark, recipe, slides, exported, out) == "openvino bfloat16"
    note = note_of(out)
    assert (note["engine"], note["precision"]) == ("openvino", "bfloat16")
    assert 20 < int(str(note["windows"])) <= WINDOWS
    assert f"of {note['windows']} windows bfloat16 differs from float32 by at most" in caplog.text
    got, exact = (predictions_of(folder, "tumor_01")["probability"] for folder in (out, finished.out))
    apart = np.abs(got - exact).max()
    assert 1e-5 < apart <= 0.03  # it did compute otherwise, and as closely as the recipe wants


@needs_bfloat16
def test_float32_where_it_does_not_agree(
    spark: SparkSession, finished: Run, exported: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = with_inference(finished.recipe, tolerance=1e-7)
    with caplog.at_level(logging.INFO, "histospark"):
        engine = infer(spark, recipe, finished.slides / "normal_01.tif", exported, tmp_path / "out")
    assert engine == "openvino float32"
    assert "(allowed: 1e-07)" in caplog.text
    got, exact = (predictions_of(folder, "normal_01")["probability"] for folder in (tmp_path / "out", finished.out))
    np.testing.assert_allclose(got, exact, rtol=0, atol=1e-5)


@needs_bfloat16
def test_asked_for_it_has_to_agree(spark: SparkSession, finished: Run, exported: Path, tmp_path: Path) -> None:
    recipe = with_inference(finished.recipe, precision="bfloat16", tolerance=1e-7)
    with pytest.raises(JobError, match=r"differs from float32 by .* more than inference\.tolerance 1e-07"):
        infer(spark, recipe, finished.slides / "normal_01.tif", exported, tmp_path / "out")
    assert not (tmp_path / "out" / "predictions").exists()
    agreeing = with_inference(finished.recipe, precision="bfloat16")
    engine = infer(spark, agreeing, finished.slides / "normal_01.tif", exported, tmp_path / "out")
    assert engine == "openvino bfloat16"


def test_later_slides_are_computed_as_the_first_ones(
    spark: SparkSession, finished: Run, exported: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As if the first run had been on another cluster, whose CPUs know float32 alone."""
    out, asked = tmp_path / "out", Question.of(finished.recipe.inference, load_card(exported).model_id)
    out.mkdir()
    note = {"asked": asked.model_dump(), "engine": "openvino", "precision": "float32"}
    (out / "engine.json").write_text(json.dumps(note))
    with caplog.at_level(logging.INFO, "histospark"):
        assert infer(spark, finished.recipe, finished.slides / "normal_01.tif", exported, out) == "openvino float32"
    assert "as this folder's engine.json says" in caplog.text
    assert json.loads((out / "engine.json").read_text()) == note


def probe(exact: list[float], quick: list[float]) -> Probe:
    told = np.array(quick, np.float32)
    return Probe(told, np.array(exact, np.float32), told)


class Told:
    """Answers from a list by the window's first gray level."""

    def __init__(self, answers: NDArray[np.float32]) -> None:
        self.answers = answers

    def predict(self, batches: Iterable[Images]) -> NDArray[np.float32]:
        return np.concatenate([np.zeros(0, np.float32), *(self.answers[images[0][:, 0, 0, 0]] for images in batches)])


def test_compared_are_the_least_decided_windows_and_some_of_all() -> None:
    rng = np.random.default_rng(6)
    quick, exact = rng.random((2, 256), np.float32)
    quick[200] = np.nan
    memory = np.zeros((40, 1, 1, 1), np.uint8)

    def batches() -> Iterator[Images]:
        for start in range(0, 256, 40):
            numbers = np.arange(start, min(start + 40, 256))
            memory[: len(numbers), 0, 0, 0] = numbers
            yield [memory[: len(numbers)]] * 2

    found = compared(batches(), Told(exact), Told(quick), 60)
    np.testing.assert_array_equal(found.seen, quick)
    always = {start + k for start in range(0, 256, 40) for k in range(0, min(40, 256 - start), 16)} | {200}
    others = sorted(set(range(256)) - always, key=lambda number: abs(float(quick[number]) - 0.5))
    expected = sorted(always | set(others[: 60 - len(always)]))
    of_exact = {float(answer): number for number, answer in enumerate(exact)}
    compared_windows = [of_exact[float(answer)] for answer in found.exact]
    assert sorted(compared_windows) == expected
    np.testing.assert_array_equal(found.quick, quick[compared_windows])


def test_nothing_seen_is_nothing_compared() -> None:
    none = Told(np.zeros(0, np.float32))
    found = compared([], none, none, 10)
    assert (found.windows, len(found.exact), found.largest_difference) == (0, 0, 0)


def test_no_bfloat16_where_workers_do_not_compute_it_or_it_gives_no_number() -> None:
    auto = Question(model_id="m", engine="auto", precision="auto", tolerance=0.01, orientations=1)
    asked = auto.model_copy(update={"precision": "bfloat16"})
    lacking = Probe() + Probe(computes=False)
    assert agreed_precision(auto, lacking).precision == "float32"
    assert agreed_precision(auto, probe([0.5, 0.6], [0.504, np.nan])).precision == "float32"
    assert agreed_precision(auto, probe([0.5], [0.504]) + probe([0.6], [0.605])).precision == "bfloat16"
    assert agreed_precision(asked, probe([0.5], [0.509])).precision == "bfloat16"
    with pytest.raises(JobError, match="CPUs do not compute: take inference"):
        agreed_precision(asked, lacking)
    with pytest.raises(JobError, match=r"differs from float32 by 0\.02 on 1 windows"):
        agreed_precision(asked, probe([0.5], [0.52]))
