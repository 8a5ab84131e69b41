"""Stages train what they name and nothing else, one after the other, with epochs numbered through."""

import itertools
import re
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import pytest

from cluster.errors import JobError, UsageError
from preprocessing.recipe import Recipe, Training
from preprocessing.training_settings import Stage
from tests.training.tiny_core import LAYERS, tiny_core
from tests.training.tiny_table import WINDOW, WrittenTable, tiny_recipe
from training import fit as fit_module
from training.epochs import Epoch
from training.fit import MODEL_FILE, fit
from training.models import training_model
from training.optimizers import CycledSGD
from training.stages import backbones, check_stages, compile_stage, first_trained, rate_factors, set_trainable
from training.stream import Shuffle, SplitStream
from training.table import open_table

Weights = dict[str, np.ndarray]


def weights_of(core: keras.Model) -> Weights:
    """All weights by tower (or head), layer and place, batch norm statistics included."""
    named = {f"{tower.name}/{layer.name}": layer for tower in backbones(core) for layer in tower.layers}
    named["head"] = core.layers[-1]
    return {
        f"{name}/{variable.name}": variable.numpy() for name, layer in named.items() for variable in layer.variables
    }


def changed(before: Weights, after: Weights) -> set[str]:
    return {name for name, value in before.items() if not np.array_equal(value, after[name])}


def layers_of(names: set[str]) -> set[str]:
    return {name.rpartition("/")[0] for name in names}


def streams(table: WrittenTable, recipe: Recipe) -> tuple[SplitStream, SplitStream]:
    opened, size = open_table(table.uri), recipe.training.batch_size
    train = SplitStream(opened, "train", WINDOW, size, shuffle=Shuffle(recipe.seed, 32))
    return train, SplitStream(opened, "validation", WINDOW, size)


def largest(model: keras.Model) -> float:
    return max(float(np.abs(variable.numpy()).max()) for variable in model.trainable_variables)


@pytest.fixture(scope="module")
def three_stages(
    written: WrittenTable, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Weights], list[Epoch], Path]:
    """The weights before and after every stage, the epochs, and the output folder."""
    out = tmp_path_factory.mktemp("stages")
    stages = [
        {"trainable_from": "head", "epochs": 1, "rate": {"kind": "constant", "value": 0.01}},
        {
            "trainable_from": "c2",
            "epochs": 2,
            "optimizer": {"name": "sgd"},
            "rate": {"kind": "one_cycle", "peak": 0.05},
            "group_rates": [0.5, 1],
            "clip_norm": 1,
        },
        {"trainable_from": 0, "epochs": 1, "optimizer": {"name": "rmsprop"}, "rate": {"kind": "halved", "every": 50}},
    ]
    recipe = tiny_recipe(stages=stages)
    core = tiny_core()
    model = training_model(core, recipe)
    check_stages(core, recipe.training)
    seen: list[Weights] = []

    def watched(*arguments: Any) -> object:
        seen.append(weights_of(core))
        return compile_stage(*arguments)

    train, validation = streams(written, recipe)
    with mock.patch.object(fit_module, "compile_stage", watched):
        epochs = fit(model, core, train, validation, recipe.training, out)
    return [*seen, weights_of(core)], epochs, out


def test_each_stage_trains_what_it_names_and_nothing_else(
    three_stages: tuple[list[Weights], list[Epoch], Path],
) -> None:
    seen, _, _ = three_stages
    head, later, everything = (changed(before, after) for before, after in itertools.pairwise(seen))
    assert layers_of(head) == {"head"}
    assert layers_of(later) == {"head", "tower_0/c2", "tower_0/n2", "tower_1/c2", "tower_1/n2"}
    assert layers_of(everything) == layers_of(set(seen[0]))


def test_statistics_of_a_frozen_batch_norm_stay_and_those_of_a_trained_one_move(
    three_stages: tuple[list[Weights], list[Epoch], Path],
) -> None:
    seen, _, _ = three_stages
    moved = changed(seen[1], seen[2])
    for tower in ("tower_0", "tower_1"):
        for statistic in ("moving_mean", "moving_variance"):
            assert f"{tower}/n1/{statistic}" not in moved
            assert f"{tower}/n2/{statistic}" in moved


def test_epochs_checkpoint_and_log_go_on_over_the_stages(
    three_stages: tuple[list[Weights], list[Epoch], Path],
) -> None:
    _, epochs, out = three_stages
    assert [(epoch.number, epoch.stage) for epoch in epochs] == [(1, 1), (2, 2), (3, 2), (4, 3)]
    names = {path.name for path in (out / "checkpoints").iterdir()}
    assert names == {"epochs_0003_batches_0000000.npz", "epochs_0004_batches_0000000.npz"}
    assert (out / MODEL_FILE).exists()
    # One event file per stage in the same folder, which TensorBoard shows as one curve.
    assert len(list((out / "logs" / "train").iterdir())) == 3


def test_the_best_epoch_of_all_stages_is_kept(
    written: WrittenTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second stage ruins the model: what is kept is from the first."""
    ruin = {"epochs": 1, "optimizer": {"name": "sgd"}, "rate": {"kind": "constant", "value": 100}, "clip_norm": 1}
    good = {"epochs": 3, "rate": {"kind": "constant", "value": 0.01}}
    recipe = tiny_recipe(stages=[good, ruin])
    core = tiny_core()
    model = training_model(core, recipe)
    epochs = fit(model, core, *streams(written, recipe), recipe.training, tmp_path)
    best = max(epochs, key=lambda epoch: epoch.validation_auc)
    assert best.stage == 1
    kept = keras.saving.load_model(tmp_path / MODEL_FILE, compile=False)
    assert largest(kept) < 10
    assert largest(core) > 50
    printed = capsys.readouterr().out
    assert re.findall(r"^stage (\d)/2: (\d) epochs?, (\w+), rate constant", printed, re.M) == [
        ("1", "3", "adam"),
        ("2", "1", "sgd"),
    ]
    assert re.findall(r"^epoch (\d/\d): 6 steps", printed, re.M) == ["1/4", "2/4", "3/4", "4/4"]


def test_a_loss_that_is_no_number_names_stage_step_batch_and_rate(written: WrittenTable, tmp_path: Path) -> None:
    ruin = {"epochs": 2, "optimizer": {"name": "sgd"}, "rate": {"kind": "halved", "start": 1e30, "every": 16}}
    recipe = tiny_recipe(stages=[{"epochs": 1}, ruin])
    core = tiny_core()
    model = training_model(core, recipe)
    with pytest.raises(JobError) as caught:
        fit(model, core, *streams(written, recipe), recipe.training, tmp_path)
    found = re.search(
        r"in stage 2 of 2 at step (\d+) \(epoch (\d), batch (\d+)\), rate (\S+): lower", str(caught.value)
    )
    assert found is not None, caught.value
    step, epoch, batch = int(found[1]), int(found[2]), int(found[3])
    assert step == (epoch - 2) * 6 + batch  # the second epoch is the stage's first
    assert float(found[4]) == pytest.approx(1e30 / 2 ** (step - 1), rel=0.01)
    assert "training.stages.1.rate" in str(caught.value)


def forward(core: keras.Model, training: bool) -> np.ndarray:
    rng = np.random.default_rng(1)
    images = {name: rng.uniform(0, 255, (4, WINDOW, WINDOW, 3)).astype(np.float32) for name in core.input}
    return np.asarray(keras.ops.convert_to_numpy(core(images, training=training)))


def test_a_frozen_batch_norm_normalizes_by_its_stored_statistics_in_training() -> None:
    core = tiny_core()
    set_trainable(core, Stage(trainable_from="head"), freeze_batch_norm=False)
    assert np.allclose(forward(core, training=True), forward(core, training=False))
    set_trainable(core, Stage(trainable_from=0), freeze_batch_norm=False)
    assert not np.allclose(forward(core, training=True), forward(core, training=False), atol=1e-3)
    set_trainable(core, Stage(trainable_from=0), freeze_batch_norm=True)
    assert np.allclose(forward(core, training=True), forward(core, training=False))
    assert [layer.trainable for layer in backbones(core)[1].layers[1:5]] == [True, False, True, False]


@pytest.mark.parametrize(("wanted", "index"), [(0, 0), (3, 3), (6, 6), ("c2", 3), ("head", 6)], ids=str)
def test_the_first_trained_layer_by_index_and_by_name(wanted: int | str, index: int) -> None:
    core = tiny_core()
    assert [layer.name for layer in backbones(core)[0].layers] == LAYERS
    assert first_trained(core, wanted) == index
    set_trainable(core, Stage(trainable_from=wanted), freeze_batch_norm=False)
    for tower in backbones(core):
        assert [layer.trainable for layer in tower.layers] == [place >= index for place in range(6)]


@pytest.mark.parametrize(
    ("stage", "reason"),
    [
        ({"trainable_from": "c3"}, r"training\.stages\.1\.trainable_from: .* no layer 'c3'; near names: .*c2"),
        ({"trainable_from": "xyzxyz"}, "no layer 'xyzxyz'; give an index up to 6, or head"),
        ({"trainable_from": 7}, r"trainable_from is 7, the backbone has 6 layers, .* c2, n2, pool: give at most 6"),
        ({"trainable_from": "c2", "group_rates": [0.1, 0.5, 1]}, "3 groups, and 2 layers of the backbone are trained"),
        ({"trainable_from": "head", "group_rates": [0.1]}, "1 groups, and 0 layers"),
    ],
)
def test_a_stage_that_does_not_fit_the_model_is_refused_before_anything_starts(
    stage: dict[str, object], reason: str
) -> None:
    training = Training.model_validate({"stages": [{"epochs": 1}, stage]})
    with pytest.raises(UsageError, match=reason) as caught:
        check_stages(tiny_core(), training)
    assert "\n" not in str(caught.value)


def test_groups_run_from_input_to_output_in_every_tower_and_the_head_has_the_full_rate() -> None:
    core = tiny_core()
    stage = Stage(trainable_from="n1", group_rates=(0.1, 0.5))
    set_trainable(core, stage, freeze_batch_norm=False)
    factors = rate_factors(core, stage, freeze_batch_norm=False)
    wanted = {"n1": 0.1, "c2": 0.1, "n2": 0.5}  # three layers in two groups: the first gets the odd one
    by_id = {
        id(variable): wanted[layer.name]
        for tower in backbones(core)
        for layer in tower.layers
        for variable in layer.trainable_variables
    }
    assert factors == [by_id.get(id(variable), 1.0) for variable in core.trainable_variables]
    assert (factors.count(0.1), factors.count(0.5), factors.count(1.0)) == (8, 4, 2)


def test_compiling_takes_the_factors_in_the_order_of_the_training_models_variables() -> None:
    recipe = tiny_recipe(
        stages=[{"group_rates": [0.1, 1], "optimizer": {"name": "sgd"}, "rate": {"kind": "one_cycle", "peak": 1}}]
    )
    core = tiny_core()
    model = training_model(core, recipe)
    compile_stage(model, core, recipe.training.stages[0], recipe.training, 10)
    assert isinstance(model.optimizer, CycledSGD)
    assert [id(variable) for variable in model.trainable_variables] == [id(v) for v in core.trainable_variables]
    assert len(model.optimizer.factors) == len(model.trainable_variables)
