"""Steps of every optimizer against the same steps in NumPy, with group rates, decay, clipping and moving momentum."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from preprocessing.training_settings import SGD, Adam, AdamW, Constant, OneCycle, RMSProp, Stage
from training.optimizers import CycledAdam, CycledRMSprop, CycledSGD, MomentumCycle, stage_optimizer
from training.schedules import momentum_schedule, rate_schedule

RATE = 0.1
Rule = Callable[[np.ndarray, np.ndarray, dict[str, np.ndarray], float, float, int], np.ndarray]

RNG = np.random.default_rng(3)
WEIGHTS = [RNG.normal(size=shape) for shape in ((2, 3), (3,), (3, 1), (1,))]  # a layer, then the head
GRADIENTS = [[RNG.normal(size=weight.shape) for weight in WEIGHTS] for _ in range(3)]
FACTORS = (0.1, 0.1, 1.0, 1.0)


def rmsprop(
    _: np.ndarray, gradient: np.ndarray, state: dict[str, np.ndarray], rate: float, momentum: float, __: int
) -> np.ndarray:
    state["square"] = 0.9 * state.get("square", 0) + 0.1 * gradient**2
    state["step"] = momentum * state.get("step", 0) + rate * gradient / np.sqrt(state["square"] + 1.0)
    return -state["step"]


def adam(
    _: np.ndarray, gradient: np.ndarray, state: dict[str, np.ndarray], rate: float, momentum: float, step: int
) -> np.ndarray:
    state["mean"] = momentum * state.get("mean", 0) + (1 - momentum) * gradient
    state["square"] = 0.999 * state.get("square", 0) + 0.001 * gradient**2
    mean, square = state["mean"] / (1 - momentum**step), state["square"] / (1 - 0.999**step)
    return -rate * mean / (np.sqrt(square) + 1e-7)


def adamw(
    weight: np.ndarray, gradient: np.ndarray, state: dict[str, np.ndarray], rate: float, momentum: float, step: int
) -> np.ndarray:
    decay = rate * 0.05 * weight if weight.ndim > 1 else 0.0
    return adam(weight, gradient, state, rate, momentum, step) - decay


def sgd(
    weight: np.ndarray, gradient: np.ndarray, state: dict[str, np.ndarray], rate: float, momentum: float, _: int
) -> np.ndarray:
    decay = rate * 0.05 * weight if weight.ndim > 1 else 0.0
    state["velocity"] = momentum * state.get("velocity", 0) - rate * gradient
    return state["velocity"] - decay


def nesterov(
    _: np.ndarray, gradient: np.ndarray, state: dict[str, np.ndarray], rate: float, momentum: float, __: int
) -> np.ndarray:
    state["velocity"] = momentum * state.get("velocity", 0) - rate * gradient
    return momentum * state["velocity"] - rate * gradient


CASES = [
    (RMSProp(), rmsprop, 0.9),
    (Adam(), adam, 0.9),
    (AdamW(weight_decay=0.05), adamw, 0.9),
    (SGD(weight_decay=0.05), sgd, 0.9),
    (SGD(momentum=0.8, nesterov=True), nesterov, 0.8),
    (SGD(momentum=0.0, weight_decay=0.05), sgd, 0.0),
]
NAMES = ["rmsprop", "adam", "adamw", "sgd", "nesterov", "plain sgd"]


def by_hand(rule: Rule, momenta: list[float], clip: float | None = None) -> list[np.ndarray]:
    weights = [weight.copy() for weight in WEIGHTS]
    states: list[dict[str, np.ndarray]] = [{} for _ in weights]
    for step, (gradients, momentum) in enumerate(zip(GRADIENTS, momenta, strict=True), 1):
        norm = np.sqrt(sum(float((gradient**2).sum()) for gradient in gradients))
        scale = 1.0 if clip is None else min(1.0, clip / norm)
        for index, gradient in enumerate(gradients):
            rate = RATE * FACTORS[index]
            weights[index] += rule(weights[index], gradient * scale, states[index], rate, momentum, step)
    return weights


def by_keras(stage: Stage, momenta: list[float] | None = None) -> list[np.ndarray]:
    variables = [keras.Variable(weight.astype(np.float32)) for weight in WEIGHTS]
    rate = rate_schedule(Stage(rate=Constant(value=RATE)), 3, 1)
    optimizer = stage_optimizer(stage, rate, FACTORS)
    optimizer.build(variables)
    # In a graph, as in training: a momentum that is no variable would stay what it was at the first step.
    apply = tf.function(lambda *gradients: optimizer.apply(gradients, variables))
    for step, gradients in enumerate(GRADIENTS):
        if momenta is not None:
            optimizer.moving_momentum.assign(momenta[step])
        apply(*[tf.constant(gradient, tf.float32) for gradient in gradients])
    return [variable.numpy() for variable in variables]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.allclose(left, right, rtol=1e-4, atol=1e-5) for left, right in zip(one, other, strict=True))


@pytest.mark.parametrize(("settings", "rule", "momentum"), CASES, ids=NAMES)
def test_three_steps_are_those_of_numpy_with_each_group_at_its_own_rate(
    settings: RMSProp | Adam | AdamW | SGD, rule: Rule, momentum: float
) -> None:
    assert same(by_keras(Stage(optimizer=settings)), by_hand(rule, [momentum] * 3))


@pytest.mark.parametrize(("settings", "rule", "momentum"), CASES, ids=NAMES)
def test_all_gradients_together_are_clipped(
    settings: RMSProp | Adam | AdamW | SGD, rule: Rule, momentum: float
) -> None:
    clipped = by_keras(Stage(optimizer=settings, clip_norm=0.5))
    assert same(clipped, by_hand(rule, [momentum] * 3, clip=0.5))
    assert same(by_keras(Stage(optimizer=settings, clip_norm=1e3)), by_hand(rule, [momentum] * 3))


@pytest.mark.parametrize(("settings", "rule", "momentum"), CASES[:5], ids=NAMES[:5])
def test_the_momentum_may_move_from_step_to_step(
    settings: RMSProp | Adam | AdamW | SGD, rule: Rule, momentum: float
) -> None:
    stage = Stage(optimizer=settings, rate=OneCycle(peak=RATE))
    moved = by_keras(stage, [0.95, 0.85, 0.9])
    assert same(moved, by_hand(rule, [0.95, 0.85, 0.9]))
    assert not same(moved, by_hand(rule, [momentum] * 3))


def test_a_factor_is_a_rate_and_not_a_smaller_gradient() -> None:
    """Adam's first step is the rate, whatever the size of the gradient: a tenth of the rate goes a tenth as far."""
    after = by_keras(Stage(optimizer=Adam(beta_1=0.0, beta_2=0.0)))
    moved = [abs(new - old).mean() for new, old in zip(after, WEIGHTS, strict=True)]
    assert moved[0] < 0.2 * moved[2]


@pytest.mark.parametrize("settings", [SGD(), Adam(), RMSProp()], ids=["sgd", "adam", "rmsprop"])
def test_fit_moves_rate_and_momentum_together(settings: SGD | Adam | RMSProp) -> None:
    cycle = OneCycle(peak=RATE, warm_up=0.5)
    stage = Stage(optimizer=settings, rate=cycle)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = stage_optimizer(stage, rate_schedule(stage, 8, 1), (1.0, 1.0))
    assert isinstance(optimizer, CycledSGD | CycledAdam | CycledRMSprop)
    model.compile(optimizer=optimizer, loss="mse")
    seen: list[tuple[float, float]] = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
            seen.append((float(optimizer.learning_rate), float(optimizer.moving_momentum)))

    callbacks = [MomentumCycle(momentum_schedule(cycle, 8)), Watch()]
    model.fit(np.ones((4, 2)), np.ones((4, 1)), batch_size=1, epochs=2, verbose=0, callbacks=callbacks)
    assert [rate for rate, _ in seen][0::4] == pytest.approx([RATE / 25, RATE])
    assert [momentum for _, momentum in seen][0::2] == pytest.approx([0.95, 0.9, 0.85, 0.9])


def test_adam_at_one_rate_is_kerass_to_the_last_bit() -> None:
    stage = Stage(rate=Constant(value=0.001))
    ours = stage_optimizer(stage, rate_schedule(stage, 3, 32), (1.0,) * len(WEIGHTS))
    ended = []
    for optimizer in (ours, keras.optimizers.Adam(0.001)):
        variables = [keras.Variable(weight.astype(np.float32)) for weight in WEIGHTS]
        for gradients in GRADIENTS:
            optimizer.apply([tf.constant(gradient, tf.float32) for gradient in gradients], variables)
        ended.append([variable.numpy() for variable in variables])
    assert all(np.array_equal(one, other) for one, other in zip(*ended, strict=True))
