"""Keras's optimizers with what a stage adds: rates per layer group, decay by them, clipping over all replicas.

A group's factor multiplies the rate, not the gradient: Adam and RMSProp divide by the gradient's own size, so
that a scaled gradient would change next to nothing. Weight decay follows the group's rate, too, as it does where
optimizers know parameter groups; Keras's own decay does not, and it would shrink biases and batch norm.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from preprocessing.training_settings import SGD, Adam, AdamW, OneCycle, RMSProp, Stage


def stage_optimizer(stage: Stage, rate: LearningRateSchedule, factors: Sequence[float]) -> keras.optimizers.Optimizer:
    """The optimizer of a stage; to be made in the scope of the strategy.

    Args:
        stage: its settings.
        rate: learning rate by steps done.
        factors: of the rate, one per trainable variable in the order of `model.trainable_variables`.
    """
    cycled = isinstance(stage.rate, OneCycle)
    shared: dict[str, Any] = {"learning_rate": rate, "factors": tuple(factors), "clip_norm": stage.clip_norm}
    match stage.optimizer:
        case RMSProp(momentum=momentum, rho=rho, epsilon=epsilon):
            rmsprop = CycledRMSprop if cycled else StageRMSprop
            return rmsprop(momentum=momentum, rho=rho, epsilon=epsilon, **shared)
        case SGD(momentum=momentum, nesterov=nesterov, weight_decay=decay):
            sgd = CycledSGD if cycled else StageSGD
            return sgd(momentum=momentum, nesterov=nesterov, kernel_decay=decay, **shared)
        case Adam() | AdamW() as chosen:
            decay = chosen.weight_decay if isinstance(chosen, AdamW) else 0.0
            adam = CycledAdam if cycled else StageAdam
            shared |= {"beta_1": chosen.beta_1, "beta_2": chosen.beta_2, "epsilon": chosen.epsilon}
            return adam(kernel_decay=decay, **shared)


class StageRules:
    """Stands before an optimizer of Keras and changes what reaches its `update_step`.

    Args:
        factors: of the rate, one per variable that the optimizer is built for.
        clip_norm: largest norm of all gradients together, of the whole batch; None: any.
        kernel_decay: share of a kernel that a step at rate 1 takes off.
    """

    def __init__(
        self, *, factors: tuple[float, ...], clip_norm: float | None, kernel_decay: float = 0.0, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.factors = factors
        self.clip_norm = clip_norm
        self.kernel_decay = kernel_decay

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Make the state; each variable must have its factor."""
        if len(variables) != len(self.factors):
            raise ValueError(f"{len(self.factors)} rate factors for {len(variables)} variables")
        super().build(variables)  # type: ignore[misc]

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        """One step; in the context of a replica, with the replica's own gradients."""
        kept = grads if self.clip_norm is None else _clipped(grads, self.clip_norm)
        super().apply(kept, trainable_variables)  # type: ignore[misc]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable, at its own rate."""
        rate = learning_rate * self.factors[self._get_variable_index(variable)]  # type: ignore[attr-defined]
        if self.kernel_decay and len(variable.shape) > 1:  # biases and batch norm have one dimension
            self.assign_sub(variable, variable * (rate * self.kernel_decay))  # type: ignore[attr-defined]
        super().update_step(gradient, variable, rate)  # type: ignore[misc]


class StageRMSprop(StageRules, keras.optimizers.RMSprop):
    """RMSProp of a stage."""


class StageAdam(StageRules, keras.optimizers.Adam):
    """Adam of a stage; with `kernel_decay` it is AdamW."""


class StageSGD(StageRules, keras.optimizers.SGD):
    """SGD of a stage."""


class _MovableRMSprop(keras.optimizers.RMSprop):
    """RMSprop whose momentum is a variable; Keras's own asks `if momentum`, which a graph cannot answer."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.moving_momentum = _variable(self.momentum)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        square, step = self._velocities[index], self._momentums[index]
        self.assign(square, self.rho * square + (1 - self.rho) * ops.square(gradient))
        change = learning_rate * gradient / ops.sqrt(square + self.epsilon)
        self.assign(step, self.moving_momentum * step + change)
        self.assign_sub(variable, step)


class _MovableSGD(keras.optimizers.SGD):
    """SGD whose momentum is a variable, for the same reason."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.moving_momentum = _variable(self.momentum)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        velocity = self.momentums[self._get_variable_index(variable)]
        change = learning_rate * gradient
        self.assign(velocity, self.moving_momentum * velocity - change)
        self.assign_add(variable, self.moving_momentum * velocity - change if self.nesterov else velocity)


class _MovableAdam(keras.optimizers.Adam):
    """Adam whose beta_1 is a variable."""

    def __init__(self, *, beta_1: float, **settings: Any) -> None:
        super().__init__(beta_1=beta_1, **settings)
        self.beta_1 = self.moving_momentum = _variable(beta_1)


class CycledRMSprop(StageRules, _MovableRMSprop):
    """RMSProp of a stage whose momentum moves."""


class CycledSGD(StageRules, _MovableSGD):
    """SGD of a stage whose momentum moves."""


class CycledAdam(StageRules, _MovableAdam):
    """Adam of a stage whose beta_1 moves."""


class MomentumCycle(keras.callbacks.Callback):
    """Sets the momentum before each step.

    Args:
        schedule: momentum by steps done in the stage.
    """

    def __init__(self, schedule: LearningRateSchedule) -> None:
        super().__init__()
        self.schedule = schedule

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Set it for the coming step."""
        optimizer = self.model.optimizer
        optimizer.moving_momentum.assign(self.schedule(optimizer.iterations))


def _variable(value: float) -> keras.Variable:
    return keras.Variable(value, trainable=False, dtype="float32", aggregation="only_first_replica", name="momentum")


def _clipped(gradients: Sequence[Any], norm: float) -> list[Any]:
    """Clip the gradients of the whole batch; each replica returns its equal share, as Keras sums them up again."""
    context = tf.distribute.get_replica_context()
    total = context.all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))
    clipped, _ = tf.clip_by_global_norm(total, norm)
    return [gradient / context.num_replicas_in_sync for gradient in clipped]
