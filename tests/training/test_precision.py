"""16 bits: float32 weights, steps like those of float32, a scale that gives way, and a plain model at the end."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from cluster.errors import JobError
from preprocessing.recipe import Training
from preprocessing.training_settings import SGD, Adam, AdamW, OneCycle, RMSProp, Stage
from tests.training.test_optimizers import CASES, FACTORS, GRADIENTS, NAMES, WEIGHTS
from tests.training.tiny_core import tiny_core
from training.models import core_model
from training.optimizers import MomentumCycle, stage_optimizer
from training.precision import LossScale, Precision, StopAtVanishedScale, arithmetic, plain_twin
from training.schedules import momentum_schedule, rate_schedule
from training.stages import compile_stage, set_trainable

SIDE = 32
RNG = np.random.default_rng(6)
IMAGES = {"scale_0": RNG.integers(0, 256, (64, SIDE, SIDE, 3)).astype(np.float32)}
LABELS = RNG.integers(0, 2, (64, 1)).astype(np.float32)


class Watch(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []
        self.momenta: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        self.momenta.append(float(keras.ops.convert_to_numpy(self.model.optimizer.moving_momentum)))
        self.model.reset_metrics()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        self.losses.append((logs or {})["loss"])


def compiled(precision: Precision, **others: object) -> tuple[keras.Model, OneCycle]:
    stage = {
        "optimizer": {"name": "sgd"},
        "rate": {"kind": "one_cycle", "peak": 0.05},
        "group_rates": [0.5, 1],
        "clip_norm": 1,
    }
    training = Training.model_validate({"precision": precision, "batch_size": 16, "stages": [stage], **others})
    keras.utils.set_random_seed(1)
    core = tiny_core(1, SIDE, precision=precision)
    compile_stage(core, core, training.stages[0], training, 8)
    cycle = training.stages[0].rate
    assert isinstance(cycle, OneCycle)
    return core, cycle


def trained(precision: Precision, **others: object) -> tuple[Watch, keras.Model]:
    core, cycle = compiled(precision, **others)
    watch = Watch()
    callbacks = [MomentumCycle(momentum_schedule(cycle, 8)), watch, StopAtVanishedScale()]
    core.fit(IMAGES, LABELS, batch_size=16, epochs=2, verbose=0, shuffle=False, callbacks=callbacks)
    return watch, core


def test_the_policy_of_the_process_comes_back() -> None:
    before = keras.config.dtype_policy()

    def failing() -> None:
        with arithmetic("bfloat16"):
            assert keras.layers.Dense(1).compute_dtype == "bfloat16"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert keras.config.dtype_policy() is before
    core_model(1, SIDE, Training(weights="none", backbone="mobilenet_v3_small", precision="float16"))
    assert keras.config.dtype_policy() is before


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_only_the_towers_compute_in_16_bits_and_all_weights_have_32(precision: Precision) -> None:
    core = core_model(2, SIDE, Training(weights="none", backbone="resnet50", precision=precision))
    assert {variable.dtype for variable in core.variables} == {"float32"}
    own = {layer.name: layer.compute_dtype for layer in core.layers if not isinstance(layer, keras.Model)}
    # 16 bits would round pixels, and probabilities near 0 and 1.
    assert set(own.values()) == {"float32"}
    assert {"centered_scale_0", "features", "tumor_probability"} <= own.keys()
    tower = core.get_layer("tower_0")
    assert {layer.compute_dtype for layer in tower.layers if layer.variables} == {precision}


@pytest.fixture(scope="module")
def float32() -> tuple[Watch, keras.Model]:
    return trained("float32")


@pytest.mark.parametrize(("precision", "tolerance"), [("bfloat16", 0.02), ("float16", 0.005)])
def test_eight_steps_follow_those_of_float32(
    precision: Precision, tolerance: float, float32: tuple[Watch, keras.Model]
) -> None:
    (expected, full), (watch, half) = float32, trained(precision)
    print(f"losses {expected.losses} in float32, {watch.losses} in {precision}")
    assert np.allclose(watch.losses, expected.losses, rtol=tolerance)
    assert watch.losses != expected.losses
    assert watch.momenta == expected.momenta
    assert len(set(watch.momenta)) > 3
    for one, other in zip(half.get_weights(), full.get_weights(), strict=True):
        assert np.allclose(one, other, rtol=0.05, atol=0.02)


def test_xla_trains_as_without_it(float32: tuple[Watch, keras.Model]) -> None:
    (expected, _), (watch, core) = float32, trained("float32", xla=True)
    assert core.jit_compile
    assert np.allclose(watch.losses, expected.losses, rtol=1e-3)


def test_an_overflow_halves_the_scale_and_leaves_weights_and_count_as_they_are() -> None:
    """Backwards, 2^60 is too much for float16; forwards nothing is scaled, and the loss stays a number."""
    core, _ = compiled("float16")
    optimizer = core.optimizer
    assert isinstance(optimizer, LossScale)
    optimizer.build(core.trainable_variables)
    optimizer.dynamic_scale.assign(2.0**60)
    before = [variable.numpy() for variable in core.trainable_variables]
    batch = {"scale_0": IMAGES["scale_0"][:16]}
    loss = core.train_on_batch(batch, LABELS[:16], return_dict=True)["loss"]
    assert np.isfinite(loss)
    assert float(optimizer.dynamic_scale) == 2.0**59
    assert int(optimizer.iterations) == 0
    assert all(np.array_equal(one, two.numpy()) for one, two in zip(before, core.trainable_variables, strict=True))
    optimizer.dynamic_scale.assign(2.0**15)
    core.train_on_batch(batch, LABELS[:16])
    assert int(optimizer.iterations) == 1
    assert float(optimizer.dynamic_scale) == 2.0**15
    assert not any(np.array_equal(one, two.numpy()) for one, two in zip(before, core.trainable_variables, strict=True))


def test_a_training_that_skips_every_step_ends() -> None:
    core, _ = compiled("float16")
    core.optimizer.build(core.trainable_variables)
    core.optimizer.dynamic_scale.assign(0.5)
    with pytest.raises(JobError, match=r"no gradient fits into float16 any more \(batch 1\)"):
        core.fit(IMAGES, LABELS, batch_size=16, verbose=0, callbacks=[StopAtVanishedScale()])


@pytest.mark.parametrize("settings", [settings for settings, _, _ in CASES], ids=NAMES)
def test_scaled_gradients_make_the_steps_of_unscaled_ones(settings: RMSProp | Adam | AdamW | SGD) -> None:
    """With group rates, decay and clipping; a power of two scales without rounding."""
    stage = Stage(optimizer=settings, clip_norm=0.5)
    ended = []
    for scale in (None, 2.0**15):
        variables = [keras.Variable(weight.astype(np.float32)) for weight in WEIGHTS]
        optimizer = stage_optimizer(stage, rate_schedule(stage, 3, 1), FACTORS)
        if scale is not None:
            optimizer = LossScale(optimizer, initial_scale=scale)
        for gradients in GRADIENTS:
            optimizer.apply([tf.constant(gradient, tf.float32) * (scale or 1.0) for gradient in gradients], variables)
        ended.append([variable.numpy() for variable in variables])
    assert all(np.array_equal(one, other) for one, other in zip(*ended, strict=True))


@pytest.mark.parametrize(("backbone", "share_towers"), [("mobilenet_v3_small", True), ("resnet50", False)])
def test_the_plain_twin_is_the_float32_model_with_the_same_weights(
    backbone: str, share_towers: bool, tmp_path: Path
) -> None:
    settings = {"weights": "none", "backbone": backbone, "share_towers": share_towers}
    mixed = core_model(
        2, SIDE, Training.model_validate({**settings, "precision": "bfloat16", "synchronize_batch_norm": True})
    )
    full = core_model(2, SIDE, Training.model_validate(settings))
    twin = plain_twin(mixed)
    # Each weight its own, so that none could stand in the place of another; positive, as variances are.
    values = [value + RNG.uniform(0, 0.01, value.shape).astype(np.float32) for value in full.get_weights()]
    full.set_weights(values)
    mixed.set_weights(values)
    set_trainable(mixed, Stage(trainable_from="head"), freeze_batch_norm=True)
    twin.set_weights(mixed.get_weights())
    twin.save(tmp_path / "model.keras")
    kept = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    images = {name: RNG.integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.uint8) for name in full.input}
    expected, answer = (np.asarray(model(images, training=False)) for model in (full, kept))
    assert np.allclose(answer, expected, atol=1e-6)
    assert [layer.name for layer in kept.layers] == [layer.name for layer in mixed.layers]
    for tower in (layer for layer in kept.layers if isinstance(layer, keras.Model)):
        assert {layer.compute_dtype for layer in tower.layers} == {"float32"}
        normal = [layer for layer in tower.layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert normal
        assert not any(layer.synchronized for layer in normal)
        assert all(layer.trainable for layer in tower.layers)


def test_frozen_batch_norm_stays_frozen_in_16_bits_and_synchronized() -> None:
    core = tiny_core(1, SIDE, precision="bfloat16", synchronized=True)
    set_trainable(core, Stage(), freeze_batch_norm=True)
    images = {"scale_0": IMAGES["scale_0"][:8]}
    before = [weight.copy() for weight in core.get_weights()]
    assert np.array_equal(np.asarray(core(images, training=True)), np.asarray(core(images, training=False)))
    assert all(np.array_equal(one, two) for one, two in zip(before, core.get_weights(), strict=True))
    set_trainable(core, Stage(), freeze_batch_norm=False)
    assert not np.allclose(np.asarray(core(images, training=True)), np.asarray(core(images, training=False)), atol=1e-3)
