"""The range test finds a rate that learns, between rates known by slow trial to learn nothing and to explode."""

import csv
import itertools
import math
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from PIL import Image

from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from preprocessing.training_settings import Stage
from tests.training.tiny_core import tiny_core
from tests.training.tiny_table import WINDOW, WrittenTable, tiny_recipe
from training import find_rate as find_rate_module
from training.find_rate import CSV_FILE, FIGURE_FILE, STEPS, find_rate
from training.models import training_model
from training.rate_range import FoundRate, exploded, judge, override, smoothed
from training.schedules import ExponentialSchedule
from training.stages import compile_stage
from training.stream import Shuffle, SplitStream
from training.table import open_table

STILL = {"orientations": False, "brightness": 0, "saturation": 0, "hue": 0, "contrast": 0}
TRIAL_PASSES = 3


def recipe_at(rate: float) -> Recipe:
    stage = {"epochs": 1, "optimizer": {"name": "sgd"}, "rate": {"kind": "constant", "value": rate}}
    return tiny_recipe(stages=[stage], augmentation=STILL)


def stream(table: WrittenTable, recipe: Recipe) -> SplitStream:
    size = recipe.training.batch_size
    return SplitStream(open_table(table.uri), "train", WINDOW, size, shuffle=Shuffle(recipe.seed, 64))


@pytest.fixture(scope="module")
def found(written: WrittenTable, tmp_path_factory: pytest.TempPathFactory) -> tuple[FoundRate, Path]:
    out = tmp_path_factory.mktemp("rate")
    recipe = recipe_at(1e-4)
    with mock.patch.object(find_rate_module, "core_model", lambda scales, *_: tiny_core(scales)):
        return find_rate(recipe, stream(written, recipe), out, tf.distribute.get_strategy()), out


def slow_trial(written: WrittenTable, rate: float) -> tuple[float, float]:
    """Cross-entropy of the training split before and after some passes at one rate."""
    recipe = recipe_at(rate)
    keras.utils.set_random_seed(3)
    core = tiny_core()
    model = training_model(core, recipe)
    compile_stage(model, core, recipe.training.stages[0], recipe.training, 1)
    train = stream(written, recipe)
    losses = model.fit(train.dataset(), epochs=TRIAL_PASSES, verbose=0, shuffle=False).history["cross_entropy"]
    return losses[0], losses[-1]


def test_the_suggestions_lie_between_rates_that_learn_nothing_and_rates_that_explode(
    written: WrittenTable, found: tuple[FoundRate, Path]
) -> None:
    suggested = found[0].suggested
    assert suggested is not None
    trials = {rate: slow_trial(written, rate) for rate in (1e-6, suggested, 10.0)}
    print(f"first and last loss by rate: {trials}")
    first, last = trials[1e-6]
    assert last > 0.97 * first
    assert not trials[10.0][1] < 1.5 * first  # or no number at all
    assert trials[suggested][1] < 0.8 * first
    assert all(rate is not None and 1e-6 < rate < 10 for rate in (found[0].steepest, found[0].tenth))
    assert f"value: {suggested:.2g}" in found[0].remedy


def test_every_step_stands_in_the_table_and_the_figure_is_drawn(found: tuple[FoundRate, Path]) -> None:
    result, out = found
    with (out / CSV_FILE).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, len(result.points) + 1))
    rates = [float(row["rate"]) for row in rows]
    assert rates[0] == pytest.approx(1e-7)
    ratios = np.array([after / before for before, after in itertools.pairwise(rates)])
    assert np.allclose(ratios, (10 / 1e-7) ** (1 / (STEPS - 1)), rtol=1e-3)
    assert 30 < len(rows) <= STEPS
    assert [float(row["loss"]) for row in rows] == pytest.approx([point.loss for point in result.points], rel=1e-4)
    with Image.open(out / FIGURE_FILE) as figure:
        assert min(figure.size) > 500


def test_the_loss_of_a_filled_batch_is_that_of_its_real_rows(found: tuple[FoundRate, Path]) -> None:
    """93 rows in batches of 16: the sixth has 13. At rates near 0 it must not stand out."""
    early = [point.loss for point in found[0].points[:24]]
    sixth, others = early[5::6], [loss for place, loss in enumerate(early) if place % 6 != 5]
    assert abs(np.mean(sixth) - np.mean(others)) < 0.12 * np.mean(others)


def test_the_highest_rate_comes_with_the_last_step() -> None:
    rate = ExponentialSchedule(1e-7, 10.0, 9)
    assert [float(rate(step)) for step in range(9)] == pytest.approx([10.0**power for power in range(-7, 2)], rel=1e-4)
    assert float(ExponentialSchedule.from_config(rate.get_config())(4)) == float(rate(4))


def test_the_smoothed_curve_does_not_lag() -> None:
    """A loss that falls by the decade, so that the true place of each loss is known."""
    rates = [10 ** (-7 + 0.08 * step) for step in range(100)]
    points = smoothed(rates, [5 - math.log10(rate) for rate in rates])
    assert all(point.smoothed_loss == pytest.approx(5 - math.log10(point.smoothed_rate)) for point in points)
    assert points[0].smoothed_loss == points[0].loss  # bias corrected


def judged(losses: list[float]) -> FoundRate:
    rates = [10 ** (-7 + 0.08 * step) for step in range(len(losses))]
    return judge(smoothed(rates, losses), [Stage()])


def test_the_steepest_descent_of_a_drawn_curve_is_found() -> None:
    """Flat, down around 1e-3, flat again, and up from 1."""
    places = [-7 + 0.08 * step for step in range(100)]
    curve = [2 - math.tanh(2 * (place + 3)) + max(0, place) * 5 for place in places]
    result = judged(curve)
    assert result.steepest is not None
    assert 10**-3.5 < result.steepest < 10**-2.5
    assert result.tenth is not None
    assert 1e-3 < result.tenth < 0.3
    assert result.suggested == result.steepest


def test_a_loss_that_never_falls_gives_no_suggestion_and_says_what_to_do() -> None:
    result = judged([1 + 0.01 * step for step in range(60)])
    assert (result.steepest, result.tenth, result.suggested) == (None, None, None)
    assert result.remedy.startswith("the loss never fell")
    assert judged([1.0, 0.9]).steepest is None
    assert judged([]).steepest is None


def test_a_loss_four_times_its_best_has_exploded() -> None:
    assert not exploded([1.0] * 30)
    assert not exploded([1.0] * 30 + [20.0])
    assert exploded([1.0] * 30 + [40.0])
    assert not exploded([1.0, 100.0])


@pytest.mark.parametrize(
    ("rate", "key"),
    [({"kind": "one_cycle", "peak": 1, "warm_up": 0.2}, "peak"), ({"kind": "halved"}, "start"), ({}, "")],
)
def test_the_option_that_is_printed_changes_the_first_rate_and_nothing_else(
    rate: dict[str, object], key: str, tmp_path: Path
) -> None:
    first = {"trainable_from": "head", "optimizer": {"name": "adamw", "weight_decay": 0.1}} | (
        {"rate": rate} if rate else {}
    )
    recipe = tiny_recipe(stages=[first, {"epochs": 2, "group_rates": [0.1, 1]}])
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json")), encoding="utf-8")
    printed = override(recipe.training.stages, 0.0123456)
    assert printed.startswith("--set 'training.stages=[{")
    assert "\n" not in printed
    changed = load_recipe(str(path), [printed.removeprefix("--set '").removesuffix("'")]).training.stages
    expected = recipe.training.stages[0].rate.model_copy(update={key or "value": 0.012})
    assert changed[0] == recipe.training.stages[0].model_copy(update={"rate": expected})
    assert changed[1:] == recipe.training.stages[1:]
