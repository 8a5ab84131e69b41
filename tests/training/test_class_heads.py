"""Two classes or more: the head, the loss with class weights, and metrics that know neither weights nor filled rows."""

import keras
import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from cluster.errors import UsageError
from preprocessing.recipe import Training
from tests.training.tiny_core import tiny_core
from tests.training.tiny_table import tiny_recipe
from training.losses import ClassWeightedCrossEntropy, OneVsRestAUC, class_weights, stage_metrics
from training.models import core_model, number_of_classes, training_model
from training.stages import compile_stage

SIDE = 32
RNG = np.random.default_rng(4)


def answers(rows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (rows, 1) float32, and probabilities somewhat better than chance."""
    labels = np.arange(rows) % classes
    RNG.shuffle(labels)
    odds = RNG.uniform(size=(rows, classes)) + 0.4 * np.eye(classes)[labels]
    probabilities = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    return labels[:, None].astype(np.float32), probabilities if classes > 2 else probabilities[:, 1:]


@pytest.mark.parametrize(("classes", "layer", "width"), [(2, "tumor_probability", 1), (4, "class_probabilities", 4)])
def test_the_head_follows_the_number_of_classes(classes: int, layer: str, width: int) -> None:
    training = Training(weights="none", backbone="mobilenet_v3_small")
    core = core_model(1, SIDE, training, classes)
    assert core.layers[-1].name == layer
    assert (core.output.shape, core.output.dtype) == ((None, width), "float32")
    assert number_of_classes(core) == classes
    values = np.asarray(core({"scale_0": np.zeros((2, SIDE, SIDE, 3), np.float32)}))
    if classes > 2:
        assert np.allclose(values.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_loss_is_the_weighted_mean_of_the_rows_by_hand(classes: int) -> None:
    labels, probabilities = answers(12, classes)
    weights = (0.5, 2.0, 7.0)[:classes]
    whole = np.concatenate([1 - probabilities, probabilities], axis=1) if classes == 2 else probabilities
    index = labels[:, 0].astype(int)
    rows = -np.log(whole[np.arange(12), index]) * np.array(weights)[index]
    loss = ClassWeightedCrossEntropy(weights)
    assert float(loss(labels, probabilities)) == pytest.approx(rows.mean(), rel=1e-4)
    filled = np.array([1.0] * 9 + [0.0] * 3, np.float32)[:, None]
    assert float(loss(labels, probabilities, filled)) == pytest.approx(rows[:9].sum() / 12, rel=1e-4)


@pytest.mark.parametrize("classes", [2, 3])
def test_metrics_are_scikit_learns_over_the_real_rows_of_all_batches(classes: int) -> None:
    labels, probabilities = answers(400, classes)
    filled = (np.arange(400) % 5 != 0).astype(np.float32)[:, None]
    entropy, auc = stage_metrics(classes)
    for start in range(0, 400, 100):
        batch = slice(start, start + 100)
        for metric in (entropy, auc):
            metric.update_state(labels[batch], probabilities[batch], filled[batch])
    real = filled[:, 0] > 0
    truth, given = labels[real, 0], probabilities[real]
    whole = given.astype(np.float64) / (given.astype(np.float64).sum(axis=1, keepdims=True) if classes > 2 else 1)
    expected = roc_auc_score(truth, given if classes > 2 else given[:, 0], multi_class="ovr", average="macro")
    assert float(entropy.result()) == pytest.approx(log_loss(truth, whole), rel=1e-3)
    assert float(auc.result()) == pytest.approx(expected, abs=5e-3)
    assert [entropy.name, auc.name] == ["cross_entropy", "auc"]


def test_a_class_without_rows_does_not_pull_the_mean_down() -> None:
    labels, probabilities = answers(300, 3)
    auc = OneVsRestAUC(4)
    auc.update_state(labels, np.pad(probabilities, ((0, 0), (0, 1))))
    three = OneVsRestAUC(3)
    three.update_state(labels, probabilities)
    assert float(auc.result()) == pytest.approx(float(three.result()))
    assert len(auc.variables) == 4
    again = OneVsRestAUC.from_config(auc.get_config())
    for variable, value in zip(again.variables, auc.variables, strict=True):
        variable.assign(value)
    assert float(again.result()) == float(auc.result())
    auc.reset_state()
    assert float(auc.result()) == 0


def test_weights_by_setting() -> None:
    rows = {0: 60, 1: 30, 2: 10, None: 5}
    assert class_weights("none", rows, 3) == (1, 1, 1)
    assert class_weights("balanced", rows, 3) == pytest.approx((100 / 180, 100 / 90, 100 / 30))
    assert class_weights((1.0, 2.0, 3.0), rows, 3) == (1, 2, 3)
    with pytest.raises(UsageError, match="names 2 weights for 3 classes"):
        class_weights((1.0, 2.0), rows, 3)
    with pytest.raises(UsageError, match="no rows of label 1"):
        class_weights("balanced", {0: 60, 2: 10}, 3)


def test_class_weights_change_the_loss_and_neither_metric_nor_its_name() -> None:
    recipe = tiny_recipe(stages=[{"optimizer": {"name": "sgd"}, "rate": {"kind": "constant", "value": 1e-12}}])
    core = tiny_core(1, SIDE)
    model = training_model(core, recipe)
    images = {"scale_0": RNG.integers(0, 256, (16, SIDE, SIDE, 3)).astype(np.float32)}
    labels = np.array([1.0] * 4 + [0.0] * 12, np.float32)[:, None]
    seen = []
    for weights in ((), (1.0, 3.0)):
        compile_stage(model, core, recipe.training.stages[0], recipe.training, 1, weights)
        seen.append(model.evaluate(images, labels, batch_size=16, verbose=0, return_dict=True))
    plain, weighted = seen
    probabilities = np.asarray(core(images, training=False))
    entropy = keras.ops.convert_to_numpy(keras.losses.binary_crossentropy(labels, probabilities))
    assert plain["loss"] == pytest.approx(entropy.mean(), rel=1e-4)
    assert weighted["loss"] == pytest.approx((entropy * np.where(labels[:, 0] > 0, 3, 1)).mean(), rel=1e-4)
    assert weighted["cross_entropy"] == plain["cross_entropy"] == pytest.approx(plain["loss"], rel=1e-4)
    assert weighted["auc"] == plain["auc"]


def test_three_classes_are_learned() -> None:
    """Red, green or blue: a softmax, its loss and its metrics through `fit`, in batches with filled rows."""
    keras.utils.set_random_seed(2)
    labels = np.arange(64) % 3
    images = RNG.integers(0, 120, (64, SIDE, SIDE, 3)).astype(np.float32)
    images[np.arange(64), :, :, labels] += 100
    training = Training.model_validate({"stages": [{"rate": {"kind": "constant", "value": 0.02}}], "batch_size": 16})
    core = tiny_core(1, SIDE, classes=3)
    compile_stage(core, core, training.stages[0], training, 1)
    weight = np.ones((64, 1), np.float32)
    history = core.fit({"scale_0": images}, labels[:, None].astype(np.float32), 16, 12, 0, sample_weight=weight).history
    assert history["auc"][-1] > 0.95
    assert history["cross_entropy"][-1] < 0.5 * history["cross_entropy"][0]
