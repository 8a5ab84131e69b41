"""Stages of a recipe: what may be said, what is assumed, and what is refused before anything starts."""

import pytest

from cluster.errors import UsageError
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from preprocessing.training_settings import SGD, Adam, AdamW, Constant, Halved, OneCycle, RMSProp, Stage
from tests.conftest import ROOT

DEMO = str(ROOT / "conf" / "demo.yaml")


def with_stage(stage: str) -> Recipe:
    return load_recipe(DEMO, [f"training.stages=[{{{stage}}}]"])


def test_the_defaults_of_rmsprop_are_the_papers() -> None:
    """Liu et al. 2017: momentum 0.9, decay 0.9, epsilon 1.0, rate 0.05 halved every 2 million examples."""
    stage = with_stage("optimizer: {name: rmsprop}, rate: {kind: halved}").training.stages[0]
    assert stage.optimizer == RMSProp(momentum=0.9, rho=0.9, epsilon=1.0)
    assert stage.rate == Halved(start=0.05, every=2_000_000)


def test_a_stage_on_the_command_line() -> None:
    first, second = load_recipe(
        DEMO,
        [
            "training.stages=[{trainable_from: head, epochs: 1, optimizer: {name: sgd, nesterov: true}, "
            "rate: {kind: one_cycle, peak: 1e-2}}, {trainable_from: 150, optimizer: {name: adamw, weight_decay: 1e-4}, "
            "group_rates: [0.1, 1], clip_norm: 2}]"
        ],
    ).training.stages
    assert first == Stage(
        trainable_from="head", epochs=1, optimizer=SGD(momentum=0.9, nesterov=True), rate=OneCycle(peak=0.01)
    )
    assert second == Stage(
        trainable_from=150, optimizer=AdamW(weight_decay=1e-4), group_rates=(0.1, 1.0), clip_norm=2.0
    )


def test_the_demo_still_trains_all_layers_by_adam_at_one_rate() -> None:
    assert load_recipe(DEMO).training.stages == (
        Stage(trainable_from=0, epochs=3, optimizer=Adam(), rate=Constant(value=0.001)),
    )


@pytest.mark.parametrize(
    ("stage", "reason"),
    [
        ("optimizer: {name: sgd, momentum: 0}, rate: {kind: one_cycle, peak: 0.1}", "sgd has none: set momentum above"),
        ("optimizer: {name: adam, beta_1: 0}, rate: {kind: one_cycle, peak: 0.1}", "adam has none: set beta_1 above 0"),
        ("rate: {kind: one_cycle, peak: 0.1, momentum_low: 0.96}", "swap them"),
        ("optimizer: {name: sgd, momentum: 0, nesterov: true}", "nesterov needs a momentum"),
        ("optimizer: {name: lion}", "'rmsprop', 'adam', 'adamw', 'sgd'"),
        ("rate: {kind: step}", "'constant', 'halved', 'one_cycle'"),
        ("optimizer: {name: adam, weight_decay: 0.1}", "unknown key training.stages.0.optimizer.adam.weight_decay"),
        ("epoch: 3", "unknown key training.stages.0.epoch; did you mean training.stages.epochs"),
        ("trainable_from: -1", "trainable_from"),
        ("group_rates: [0]", "group_rates"),
    ],
)
def test_a_stage_that_contradicts_itself_is_refused(stage: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        with_stage(stage)


def test_there_is_at_least_one_stage() -> None:
    with pytest.raises(UsageError, match=r"training\.stages"):
        load_recipe(DEMO, ["training.stages=[]"])


def test_the_keys_that_stages_replaced_are_unknown() -> None:
    for key in ("trainable_from", "epochs", "learning_rate"):
        with pytest.raises(UsageError, match=f"unknown key training.{key}"):
            load_recipe(DEMO, [f"training.{key}=1"])
